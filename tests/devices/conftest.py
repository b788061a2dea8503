"""Rows for the device tests: flows, leases, sightings and resolver queries by the minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from guardian.detect import addresses, names
from guardian.model.batch import Batch, SourceInfo
from guardian.store import Store, ingest

T0 = datetime(2026, 11, 20, 18, 0)


class House:
    """A store, and short ways to put rows into it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.source = ingest.register(store, SourceInfo(name="t", kind="eve", path="t"))

    def put(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Commit rows; ``minute`` stands for the time."""
        ready = []
        for row in rows:
            minute = row.get("minute", 0)
            ready.append(
                {"ts": T0 + timedelta(minutes=minute)}
                | {key: value for key, value in row.items() if key != "minute"}
            )
        columns = sorted({key for row in ready for key in row})
        data = pa.table({key: pa.array([row.get(key) for row in ready]) for key in columns})
        ingest.commit(self.store, self.source, Batch(tables={table: data}, bookmark={}))

    def flow(
        self, src: str, dest: str, src_mac: str | None, dest_mac: str | None, **more: Any
    ) -> None:
        row = {"src_ip": src, "dest_ip": dest, "src_mac": src_mac, "dest_mac": dest_mac}
        self.put("flow", [{**row, "pkts_toclient": 1, "proto": "TCP", "dest_port": 443, **more}])

    def annotate(self) -> None:
        """Describe every address and name that was seen, as detection does first."""
        with self.store.transaction() as tx:
            addresses.annotate(tx, after=0, home_networks=())
            names.annotate(tx, after=0)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with self.store.read() as reader:
            return reader.rows(sql)


@pytest.fixture
def house(memory_store: Store) -> House:
    """An empty house."""
    return House(memory_store)
