"""Pi-hole's API after an absence: its memory holds a day, its database the rest, or not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from fakes.openapi import described
from fakes.pihole import Pihole
from fakes.shared import SHARED
from guardian.clients.http import Limits
from guardian.clients.pihole import PiholeClient
from guardian.collect import pihole_api
from guardian.collect.pihole_api import PiholeApiCollector
from guardian.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.model.batch import Batch

DAY_S = 86_400.0
STEP_S = 1800.0
DAYS = 3
PASSING = Limits(timeout_s=60.0, attempts=1, pause_s=0.01)


class Forgetful(Pihole):
    """One that has older queries in its database only; the same ids and times in both."""

    keeps_s = 91 * DAY_S
    no_database = False
    asked: list[dict[str, str]]

    def _queries(self, query: dict[str, str]) -> tuple[int, Any]:
        self.asked = [*getattr(self, "asked", []), query]
        disk = query.get("disk") == "true"
        if disk and self.no_database:
            return 500, {"error": {"key": "internal_error", "message": "no", "hint": None}}
        whole, kept = self.queries, self.keeps_s if disk else DAY_S
        self.queries = [row for row in whole if row["time"] > time.time() - kept]
        answer = super()._queries(query)
        self.queries = whole
        return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forgetful]:
    monkeypatch.setattr(pihole_api, "WINDOW_S", 3 * 3600.0)  # fewer calls
    main = SHARED / "corpus" / "pihole" / "openapi" / "main.yaml"
    fake = Forgetful(password=None, description=described(main))
    begin = time.time() - DAYS * DAY_S
    fake.queries = [row(n, begin + n * STEP_S) for n in range(int(DAYS * DAY_S / STEP_S))]
    yield fake
    fake.close()


def row(number: int, at_s: float) -> dict[str, Any]:
    return {
        "id": number, "time": at_s, "type": "A", "status": "FORWARDED", "dnssec": "UNKNOWN",
        "domain": f"n{number}.example", "upstream": None, "reply": {"type": "IP", "time": 0.01},
        "client": {"ip": "192.168.1.2", "name": None}, "list_id": None,
        "ede": {"code": -1, "text": None}, "cname": None,
    }  # fmt: skip


def collector(server: Pihole) -> PiholeApiCollector:
    client = PiholeClient(server.url, None, limits=PASSING)
    return PiholeApiCollector(server.url, client=client, every_s=0.0)


def after(ts: float) -> dict[str, object]:
    return {"ts": ts, "digest": "", "seen_s": 0.0, "leases": []}


def read(made: PiholeApiCollector, mark: dict[str, object]) -> tuple[list[int], list[Batch]]:
    batches = list(made.batches(mark, final=True))
    tables = [batch.tables["dns_log"] for batch in batches if "dns_log" in batch.tables]
    return [number for table in tables for number in table["foreign_id"].to_pylist()], batches


def test_an_absence_of_days_is_read_from_the_database(server: Forgetful) -> None:
    made = collector(server)
    known = server.queries[10]
    found, batches = read(made, after(known["time"]))
    assert found == list(range(10, len(server.queries)))  # each once: none is in two windows
    assert sum(batch.events for batch in batches) == len(server.queries) - 11
    assert [batch.rejects for batch in batches if batch.rejects] == []
    oldest_in_memory = min(float(asked["from"]) for asked in server.asked if "disk" not in asked)
    newest_on_disk = max(float(asked["until"]) for asked in server.asked if "disk" in asked)
    assert newest_on_disk == oldest_in_memory
    assert newest_on_disk <= time.time() - pihole_api.MEMORY_S
    server.asked.clear()
    read(made, batches[-1].bookmark)
    assert not any("disk" in asked for asked in server.asked)  # it is caught up
    made.close()
    assert server.violations == []


def test_what_the_database_no_longer_has_is_said(server: Forgetful) -> None:
    server.keeps_s = 2 * DAY_S
    made = collector(server)
    found, batches = read(made, after(server.queries[10]["time"]))
    first = server.queries[found[0]]["time"]
    assert first > time.time() - 2 * DAY_S
    assert found == list(range(found[0], len(server.queries)))
    (told,) = [reject for batch in batches for reject in batch.rejects]
    assert "lost" in told.reason
    assert told.place == (
        f"{pihole_api._utc(server.queries[10]['time'])} to {pihole_api._utc(first)}"
    )
    made.close()


def test_a_database_that_cannot_be_read_is_passed_by_and_that_is_said(server: Forgetful) -> None:
    server.no_database = True
    made = collector(server)
    mark = after(server.queries[10]["time"])
    for _ in range(2):  # it may only be busy
        with pytest.raises(CollectorError, match="500"):
            read(made, mark)
    found, batches = read(made, mark)
    assert found[0] > 10
    assert found == list(range(found[0], len(server.queries)))
    (told,) = [reject for batch in batches for reject in batch.rejects]
    assert told.place.startswith(pihole_api._utc(server.queries[10]["time"]))
    made.close()


def test_a_quiet_house_is_not_asked_for_its_database_again_and_again(server: Forgetful) -> None:
    del server.queries[11:]
    made = collector(server)
    mark = after(server.queries[10]["time"])
    _, batches = read(made, mark)
    assert [batch.rejects for batch in batches if batch.rejects] == []
    assert any("disk" in asked for asked in server.asked)
    server.asked.clear()
    read(made, mark)
    assert not any("disk" in asked for asked in server.asked)
    made._read_until -= 2 * DAY_S  # the server was away for two days
    read(made, mark)
    assert any("disk" in asked for asked in server.asked)
    made.close()
