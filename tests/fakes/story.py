"""A store that is told a story: devices, incidents, catalogue hits and questions."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from guardian.model.batch import Batch, SourceInfo
from guardian.store import Store, ingest

T0 = datetime(2026, 11, 20, 21, 0)


class Story:
    """Puts incidents, findings, devices, catalogue hits and questions into a store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def device(self, device: str, name: str, *ips: str) -> None:
        with self.store.transaction() as tx:
            tx.execute(
                "INSERT INTO device (device_id, name, first_seen, last_seen) VALUES (?, ?, ?, ?)",
                [device, name, T0, T0],
            )
            for ip in ips:
                tx.execute(
                    "INSERT INTO device_address (device_id, ip, valid_from, seen_at) "
                    "VALUES (?, ?, ?, ?)",
                    [device, ip, T0, T0],
                )

    def incident(
        self,
        number: int,
        finding_class: str,
        verdict: str,
        *peers: str,
        device: str | None = "dlaptop",
        status: str = "open",
        src_ip: str | None = "192.168.1.20",
        at: datetime = T0,
    ) -> None:
        with self.store.transaction() as tx:
            tx.execute("DELETE FROM incident WHERE id = ?", [number])
            tx.execute("DELETE FROM finding WHERE id = ?", [f"f{number}"])
        with self.store.transaction() as tx:
            tx.execute(
                """
                INSERT INTO incident (id, key, title, verdict, confidence, level,
                    device_id, classes, first_seen, last_seen, status, summary, explanation,
                    facts, claims, score, packet_hash, written_by, created_at, updated_at)
                VALUES ($id, $key, 'a story', $verdict, 0.9, 'high', $device, [$class], $at, $at,
                    $status, '', '', '[]', '[]', '[]', '', 'template', $at, $at)
                """,
                {
                    "id": number, "key": f"k{number}", "verdict": verdict, "device": device,
                    "class": finding_class, "at": at, "status": status,
                },
            )  # fmt: skip
            tx.execute(
                """
                INSERT INTO finding (id, class, level, detector, title, key, device_id,
                    src_ip, peers, first_seen, last_seen, count, facts, evidence, tags,
                    updated_at, incident_id)
                VALUES ($fid, $class, 'high', 'test', 'a finding', 'k', $device, $src,
                    $peers, $at, $at, 1, '{}', [], [], $at, $id)
                """,
                {
                    "fid": f"f{number}", "class": finding_class, "device": device,
                    "peers": list(peers), "src": src_ip, "at": at, "id": number,
                },
            )  # fmt: skip

    def hit(self, name: str, *, breakage: str = "none", grade: str = "validated") -> None:
        row: dict[str, Any] = {
            "name": name, "entry_id": "e-" + name, "class": "acr", "company": "Acme",
            "service": "s", "purposes": ["acr"], "grade": grade, "breakage": breakage,
            "pattern": name,
        }  # fmt: skip
        with self.store.transaction() as tx:
            columns = ", ".join(row)
            marks = ", ".join(f"${name}" for name in row)
            tx.execute(f"INSERT INTO name_hit ({columns}) VALUES ({marks})", row)

    def questions(self, ip: str, name: str, count: int, *, at: datetime = T0) -> None:
        rows = [
            {"ts": at - timedelta(minutes=n), "src_ip": ip, "rrname": name, "type": "query"}
            for n in range(count)
        ]
        source = ingest.register(self.store, SourceInfo(name="t", kind="eve", path="t"))
        ingest.commit(
            self.store,
            source,
            Batch(
                tables={
                    "dns": pa.Table.from_pylist(
                        rows,
                        pa.schema(
                            [
                                ("ts", pa.timestamp("us")),
                                ("src_ip", pa.string()),
                                ("rrname", pa.string()),
                                ("type", pa.string()),
                            ]
                        ),
                    )
                },
                bookmark={},
            ),
        )

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with self.store.read() as reader:
            found = reader.rows(sql)
        for row in found:
            for name in ("target", "forecast", "proof", "receipt"):
                if isinstance(row.get(name), str):
                    row[name] = json.loads(row[name])
        return found
