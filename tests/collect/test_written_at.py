from __future__ import annotations

import gzip
import os
from datetime import datetime
from typing import TYPE_CHECKING

from guardian.collect import compressed, registry
from guardian.collect.reader import drain

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

LINE = b"Nov 20 20:31:00 dnsmasq[512]: query[A] a.example from 192.168.1.9\n"


def test_a_packed_log_is_as_old_as_its_header_says(tmp_path: Path, memory_store: Store) -> None:
    path = tmp_path / "pihole.log.gz"
    path.write_bytes(gzip.compress(LINE, mtime=1_600_000_000))
    os.utime(path, (1_800_000_000, 1_800_000_000))
    assert compressed.written_at(path) == 1_600_000_000
    drain(memory_store, registry.KINDS["pihole-log"](path), final=True)
    with memory_store.read() as reader:
        assert reader.value("SELECT ts FROM dns_log") == datetime(2019, 11, 20, 20, 31)


def test_a_plain_log_is_as_old_as_its_file(tmp_path: Path) -> None:
    path = tmp_path / "pihole.log"
    path.write_bytes(LINE)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert compressed.written_at(path) == 1_700_000_000
