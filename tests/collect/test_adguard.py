"""AdGuard Home's log and its API say the same of the same query."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian.clients.adguard import Entry, QueryLog, Question
from guardian.collect import adguard_api, parser_spec
from guardian.collect.remote import Poller
from guardian.collect.text_rows import LineParser
from guardian.collect.text_values import Clock
from guardian.errors import ClientConnectionError, CollectorError

if TYPE_CHECKING:
    from collections.abc import Coroutine

TIME = "2026-06-15T10:00:02Z"
REASONS = [
    # what the API says, what the log says, whether the log calls it filtered; what it is
    ("NotFilteredNotFound", 0, False, (False, "forwarded")),
    ("NotFilteredWhiteList", 1, False, (False, "forwarded")),
    ("NotFilteredError", 2, False, (False, "forwarded")),
    ("FilteredBlackList", 3, True, (True, "blocked")),
    ("FilteredSafeBrowsing", 4, True, (True, "blocked")),
    ("FilteredParental", 5, True, (True, "blocked")),
    ("FilteredInvalid", 6, True, (True, "blocked")),
    ("FilteredSafeSearch", 7, True, (False, "local")),
    ("FilteredBlockedService", 8, True, (True, "blocked")),
    ("Rewrite", 9, False, (False, "local")),
    ("RewriteEtcHosts", 10, False, (False, "local")),
    ("RewriteRule", 11, False, (False, "local")),
]


@pytest.mark.parametrize(("word", "number", "filtered", "meant"), REASONS)
def test_a_reason_means_the_same_in_the_log_and_in_the_api(
    *, word: str, number: int, filtered: bool, meant: tuple[bool, str]
) -> None:
    clock = Clock("UTC", datetime(2026, 6, 15))
    line = {
        "IP": "192.168.1.5", "T": TIME, "QH": "a.example", "QT": "A", "Elapsed": 1000,
        "Result": {"IsFiltered": filtered, "Reason": number},
    }  # fmt: skip
    made = LineParser(parser_spec.shipped("adguard"), clock).parse(json.dumps(line))
    question = Question(name="a.example", type="A")
    entry = Entry(time=TIME, client="192.168.1.5", question=question, reason=word)
    row = adguard_api._row(entry, clock)
    assert made is not None
    assert row is not None
    assert (made.row["blocked"], made.row["status"]) == meant
    assert (row["blocked"], row["status"]) == meant


class Log:
    """A client whose server has 35 queries, ten a page, and may fail once at one of them."""

    def __init__(self, *, fails_at: int) -> None:
        now = datetime.now(UTC)
        self.entries = [
            Entry(
                time=(now - timedelta(seconds=100 - n)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
                client="192.168.1.5",
                question=Question(name=f"n{n}.example", type="A"),
            )
            for n in range(35)
        ]
        self.fails_at = fails_at
        self.asked: list[str] = []

    async def query_log(self, *, older_than: str = "", limit: int) -> QueryLog:
        self.asked.append(older_than)
        if len(self.asked) == self.fails_at:
            msg = "no answer"
            raise ClientConnectionError(msg)
        found = [entry for entry in reversed(self.entries) if entry.time < (older_than or "9")]
        page = tuple(found[:limit])
        return QueryLog(data=page, oldest=page[-1].time if page else "")

    async def aclose(self) -> None:
        pass


def read(made: adguard_api.AdguardApiCollector, mark: Any = None) -> tuple[list[str], Any]:
    (batch,) = made.batches(mark, final=True)
    return batch.tables["dns_log"]["rrname"].to_pylist(), batch.bookmark


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked, each with a time limit of its own."""
    made: list[str] = []
    plain = Poller.call

    def call(self: Poller, what: Coroutine[Any, Any, Any]) -> Any:
        made.append(what.__qualname__)
        return plain(self, what)

    monkeypatch.setattr(Poller, "call", call)
    monkeypatch.setattr(adguard_api, "PAGE_ROWS", 10)
    return made


def test_each_page_has_its_own_time(calls: list[str]) -> None:
    log = Log(fails_at=0)
    made = adguard_api.AdguardApiCollector("http://a", client=log, every_s=0.0)
    assert read(made)[0] == [f"n{n}.example" for n in range(35)]
    assert calls == ["Log.query_log"] * len(log.asked)
    made.close()


def test_a_page_that_fails_costs_no_other(calls: list[str]) -> None:
    log = Log(fails_at=3)
    made = adguard_api.AdguardApiCollector("http://a", client=log, every_s=0.0)
    with pytest.raises(CollectorError, match="no answer"):
        read(made)
    newest = log.entries[-1]
    log.entries.append(
        Entry(
            time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            client="192.168.1.5",
            question=Question(name="meanwhile.example", type="A"),
        )
    )
    names, mark = read(made)
    assert names == [f"n{n}.example" for n in range(35)]
    assert log.asked[3] == log.asked[2]  # it went on where it had failed
    assert log.asked.count("") == 1
    assert mark["time"] == newest.time
    assert read(made, mark)[0][-1] == "meanwhile.example"
    assert len(calls) == len(log.asked)
    made.close()
