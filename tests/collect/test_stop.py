"""A planned stop ends the reading, not the writing: what was taken is stored or still waits."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from guardian.collect import parser_spec, text_log
from guardian.collect.eve_socket import EveSocketCollector
from guardian.collect.network_logs import SyslogCollector
from guardian.collect.reader import drain
from guardian.collect.settings import Settings
from guardian.collect.text_log import TextLogCollector
from guardian.model.batch import Batch, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pytest

    from guardian.collect.base import Collector
    from guardian.store import Store

FILTERLOG = (
    "<134>1 2026-11-20T20:00:00Z fw filterlog 5 - - 67,,,0,igb1,match,block,in,4,0x0,,64,12345,0,"
    "DF,6,tcp,60,192.168.1.5,203.0.113.9,50000,23,0,S,1234567,,64240,,mss"
)
UNBOUND = (
    "<30>1 2026-11-20T20:00:00Z fw unbound 7 - - [7:0] info: 192.168.1.5 a.example. A IN "
    "NOERROR 0.01 0 40"
)


def stopped_after_the_first_commit(store: Store, collector: Collector) -> int:
    """Read until the first commit, and as the daemon does at its end; return the events."""
    stop = threading.Event()
    first = drain(store, collector, progress=lambda _: stop.set(), stop=stop)
    assert stop.is_set()
    return first.events


def test_what_a_socket_gave_is_stored(memory_store: Store, tmp_path: Path) -> None:
    collector = EveSocketCollector(tmp_path / "eve.sock", Settings(batch_bytes=1))
    drain(memory_store, collector)
    for number in range(9):
        line = (
            '{"timestamp":"2026-11-20T20:00:00.000000+0000","event_type":"dns","flow_id":%d,'
            '"src_ip":"192.168.1.5","src_port":5000,"dest_ip":"192.168.1.1","dest_port":53,'
            '"proto":"UDP","dns":{"type":"query","id":1,"rrname":"a.example","rrtype":"A"}}\n'
        )
        collector._socket._put((line % (number + 1)).encode())
    events = stopped_after_the_first_commit(memory_store, collector)
    collector.close()
    events += drain(memory_store, collector, final=True).events
    assert events == 9


def test_lines_of_several_kinds_are_stored(memory_store: Store) -> None:
    collector = SyslogCollector("127.0.0.1", 0, timezone="UTC")
    for line in (FILTERLOG, UNBOUND):
        collector.listener._take_in("192.168.1.1", line.encode())
    collector.close()
    assert stopped_after_the_first_commit(memory_store, collector) == 2
    assert not collector.holds()


def test_a_file_is_left_where_it_is(
    memory_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_log, "BATCH_LINES", 2)
    where = tmp_path / "unbound.log"
    line = "Nov 20 20:00:%02d unbound[7:0] info: 192.168.1.5 n%d.example. A IN NOERROR 0.01 0 40\n"
    where.write_text("".join(line % (number % 60, number) for number in range(400)))
    collector = TextLogCollector(path=where, spec=parser_spec.shipped("unbound"), timezone="UTC")
    stop = threading.Event()
    stop.set()
    assert drain(memory_store, collector, stop=stop).events == 0
    assert drain(memory_store, collector, final=True).events == 400


@dataclass(slots=True)
class Turnstile:
    """A source that gives a batch, and another one once somebody lets it."""

    inside: threading.Event = field(default_factory=threading.Event)
    second: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    @property
    def source(self) -> SourceInfo:
        """One that is nowhere."""
        return SourceInfo(name="turnstile", kind="eve", path="x")

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield two batches, the second one later."""
        (self.second if final else self.inside).set()
        at = int(str((bookmark or {}).get("at", 0)))
        yield Batch(tables={}, bookmark={"at": at + 1}, events=1)
        if not final:
            self.go.wait(60)
            yield Batch(tables={}, bookmark={"at": at + 2}, events=1)


def test_who_reads_at_the_end_waits_for_who_reads_still(memory_store: Store) -> None:
    collector = Turnstile()
    given: dict[bool, int] = {}

    def read(*, final: bool) -> None:
        given[final] = drain(memory_store, collector, final=final).events

    threads = [threading.Thread(target=read, kwargs={"final": final}) for final in (False, True)]
    threads[0].start()
    assert collector.inside.wait(60)
    threads[1].start()
    collector.second.wait(0.3)  # it must not come: that cannot be waited for
    collector.go.set()
    for thread in threads:
        thread.join(60)
    assert given == {False: 2, True: 1}
    with memory_store.read() as reader:
        assert reader.value("SELECT bookmark FROM source") == '{"at": 3}'
