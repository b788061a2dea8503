"""A rotated file that is damaged, another program's log, many senders: no line lost or made up."""

from __future__ import annotations

import gzip
import time
from typing import TYPE_CHECKING

import pytest
import zstandard

from guardian.collect import parser_spec
from guardian.collect.network_logs import SyslogCollector
from guardian.collect.reader import drain
from guardian.collect.tail_held import Held
from guardian.collect.tail_mark import Mark
from guardian.collect.tailer import Tailer
from guardian.collect.text_log import TextLogCollector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from guardian.store import Store

LINE = (
    "2026-11-21T20:00:0{}+00:00 fw kernel: [1.0] [UFW BLOCK] IN=eth0 OUT= MAC=aa SRC=192.0.2.1 "
    "DST=192.168.1.5 LEN=60 TOS=0x00 PREC=0x00 TTL=50 ID=1 PROTO=TCP SPT=1 DPT=22 WINDOW=1 "
    "RES=0x00 SYN URGP=0 \n"
)


def test_a_damaged_rotated_file_keeps_no_later_line_out(
    memory_store: Store, tmp_path: Path
) -> None:
    log = tmp_path / "fw.log"
    collector = TextLogCollector(path=log, spec=parser_spec.shipped("netfilter"), timezone="UTC")
    log.write_text(LINE.format(1))
    assert drain(memory_store, collector).error is None
    (tmp_path / "fw.log.1.gz").write_bytes(b"\x1f\x8bgarbage that is no gzip")
    log.rename(tmp_path / "gone")
    (tmp_path / "gone").unlink()
    log.write_text(LINE.format(2) + LINE.format(3))
    errors = []
    for number in range(4, 8):
        errors.append(drain(memory_store, collector).error)
        with log.open("a") as file:
            file.write(LINE.format(number))
    drain(memory_store, collector)
    with memory_store.read() as reader:
        assert reader.value("SELECT count(*) FROM flow") == 7
    assert errors[-1] is None
    assert any("fw.log.1.gz" in (error or "") for error in errors)


def test_a_file_that_was_given_the_inode_is_not_read_as_the_log(tmp_path: Path) -> None:
    log, other = tmp_path / "dnsmasq.log", tmp_path / "auth.log"
    log.write_bytes(b"Nov 20 00:00:01 a\n")
    (chunk,) = Tailer(path=log).unread(None)
    log.unlink()
    log.write_bytes(b"Nov 21 00:00:01 c\n")
    other.write_bytes(b"Nov 21 00:00:05 sshd: of another program\n")
    mark = Mark.from_json(dict(chunk.mark.as_json(), inode=other.stat().st_ino))
    chunks = list(Tailer(path=log, held=Held()).unread(mark))
    assert b"".join(bytes(each.data) for each in chunks) == b"Nov 21 00:00:01 c\n"


@pytest.mark.parametrize(
    ("name", "packed"), [("a.gz", gzip.compress), ("a.zst", zstandard.compress)]
)
def test_a_packed_log_can_be_followed(
    tmp_path: Path, name: str, packed: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(packed(b"x 1\ny 2\n"))
    chunks = Tailer(path=tmp_path / name, held=Held()).unread(None)
    assert b"".join(bytes(each.data) for each in chunks) == b"x 1\ny 2\n"


def test_many_senders_are_one_batch() -> None:
    collector = SyslogCollector("127.0.0.1", 0)
    line = b"<30>Nov 21 21:00:00 dnsmasq[1]: query[A] x%d.example from 10.0.0.9"
    for number in range(200):
        sender = f"10.0.{number // 100}.{number % 100 + 1}"
        collector.listener._queue.append((time.time(), sender, line % number))
    batches = list(collector.batches({}))
    collector.close()
    assert len(batches) == 1
    assert batches[0].events == sum(table.num_rows for table in batches[0].tables.values()) > 100
