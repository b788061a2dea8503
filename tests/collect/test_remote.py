"""Resolvers read by their API: sessions, back-off, catch-up, changed rows, ids that restart."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fakes.openapi import described
from fakes.pihole import Pihole
from fakes.shared import SHARED
from guardian.clients.adguard import AdguardClient
from guardian.clients.http import Limits
from guardian.clients.pihole import PiholeClient
from guardian.collect import pihole_api, remote
from guardian.collect.adguard_api import AdguardApiCollector
from guardian.collect.pihole_api import PiholeApiCollector
from guardian.collect.reader import drain
from guardian.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.store import Store

FAST = Limits(timeout_s=60.0, attempts=2, pause_s=0.01)


@pytest.fixture
def server() -> Iterator[Pihole]:
    main = SHARED / "corpus" / "pihole" / "openapi" / "main.yaml"
    fake = Pihole(description=described(main))
    yield fake
    fake.close()
    assert fake.violations == []


@pytest.fixture
def collector(server: Pihole) -> Iterator[PiholeApiCollector]:
    client = PiholeClient(server.url, "secret", limits=FAST)
    made = PiholeApiCollector(server.url, client=client, every_s=0.0)
    yield made
    made.close()


def query(number: int, ago_s: float, **values: Any) -> dict[str, Any]:
    return {
        "id": number, "time": time.time() - ago_s, "type": "A", "status": "FORWARDED",
        "dnssec": "UNKNOWN", "domain": f"n{number}.example", "upstream": "9.9.9.9#53",
        "reply": {"type": "IP", "time": 0.0125}, "client": {"ip": "192.168.1.2", "name": "tv"},
        "list_id": None, "ede": {"code": -1, "text": None}, "cname": None,
    } | values  # fmt: skip


def rows(store: Store) -> list[dict[str, Any]]:
    with store.read() as reader:
        return reader.rows("SELECT * FROM dns_log ORDER BY ts, id")


def test_a_day_is_caught_up_and_followed(
    server: Pihole, collector: PiholeApiCollector, memory_store: Store
) -> None:
    server.queries = [query(n, 20_000 - n * 9) for n in range(2100)]
    server.queries[7]["status"] = "GRAVITY_CNAME"
    assert drain(memory_store, collector).events == 2100
    server.queries.append(query(2100, 0.1))
    assert drain(memory_store, collector).events == 1
    assert drain(memory_store, collector).events == 0
    found = rows(memory_store)
    assert [row["foreign_id"] for row in found] == list(range(2101))
    blocked = found[7]
    assert (blocked["status"], blocked["status_detail"], blocked["blocked"]) == (
        "blocked", "GRAVITY_CNAME", True
    )  # fmt: skip
    assert (blocked["rcode"], blocked["client_name"], blocked["upstream"]) == (
        "NOERROR", "tv", "9.9.9.9#53"
    )  # fmt: skip
    assert blocked["reply_ms"] == pytest.approx(12.5)
    assert server.logins == 1


def test_a_late_answer_replaces_the_row(
    server: Pihole, collector: PiholeApiCollector, memory_store: Store
) -> None:
    server.queries = [query(0, 5, status="IN_PROGRESS"), query(1, 4)]
    drain(memory_store, collector)
    untouched = rows(memory_store)[1]["id"]
    server.queries[0]["status"] = "FORWARDED"
    assert drain(memory_store, collector).events == 0
    late, other = rows(memory_store)
    assert (late["status"], other["id"]) == ("forwarded", untouched)
    assert late["id"] > untouched


def test_ids_that_restart_after_a_crash_lose_nothing(
    server: Pihole, collector: PiholeApiCollector, memory_store: Store
) -> None:
    server.queries = [query(n, 60 - n) for n in range(10)]
    drain(memory_store, collector)
    del server.queries[5:]  # what was not flushed is gone, and its ids are given again
    server.queries += [query(n, 20 - n, domain=f"again{n}.example") for n in range(5, 12)]
    assert drain(memory_store, collector).events == 7
    names = [row["rrname"] for row in rows(memory_store)]
    assert names == [f"n{n}.example" for n in range(10)] + [
        f"again{n}.example" for n in range(5, 12)
    ]


def test_a_forgotten_session_is_renewed_and_the_seat_given_back(
    server: Pihole, memory_store: Store
) -> None:
    client = PiholeClient(server.url, "secret", limits=FAST)
    collector = PiholeApiCollector(server.url, client=client, every_s=0.0)
    server.queries = [query(0, 5)]
    drain(memory_store, collector)
    server.sessions.clear()
    server.queries.append(query(1, 1))
    assert drain(memory_store, collector).events == 1
    assert (server.logins, len(server.sessions)) == (2, 1)
    collector.close()
    collector.close()
    assert server.sessions == set()


def test_a_busy_server_is_left_alone_for_a_while(server: Pihole, memory_store: Store) -> None:
    client = PiholeClient(server.url, "secret", limits=FAST)
    collector = PiholeApiCollector(server.url, client=client, every_s=100)
    server.busy = 100
    error = drain(memory_store, collector).error
    assert error is not None
    asked = len(server.log)
    assert drain(memory_store, collector).error == error
    assert len(server.log) == asked  # it was not asked again
    server.busy = 0
    server.queries = [query(0, 5)]
    collector._poller._next = 0.0  # the while is over
    assert drain(memory_store, collector).events == 1
    collector.close()


def test_a_busy_hour_is_read_in_halves(
    server: Pihole,
    collector: PiholeApiCollector,
    memory_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pihole_api, "MAX_WINDOW_ROWS", 50)
    monkeypatch.setattr(pihole_api, "PAGE_ROWS", 20)
    server.queries = [query(n, 400 - n) for n in range(300)]
    assert drain(memory_store, collector).events == 300
    assert [row["foreign_id"] for row in rows(memory_store)] == list(range(300))


def device(number: int, seen_ago_s: float, **values: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "id": number, "hwaddr": f"02:00:00:00:00:{number:02x}", "interface": "eth0",
        "firstSeen": now - 9999, "lastQuery": now, "numQueries": 7, "macVendor": None,
        "ips": [{"ip": f"192.168.1.{number}", "name": f"host{number}", "nameUpdated": now,
                 "lastSeen": int(now - seen_ago_s)}],
    } | values  # fmt: skip


def test_devices_and_leases_are_sightings(
    server: Pihole,
    collector: PiholeApiCollector,
    memory_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pihole_api, "DEVICES_EVERY_S", 0.0)
    lease = {"expires": int(time.time()) + 600, "name": "tv", "hwaddr": "02:00:00:00:00:AA",
             "ip": "192.168.1.50", "clientid": "*"}  # fmt: skip
    server.devices = [device(n, 100 - n) for n in range(1, 40)]
    server.devices.append(device(77, 5, hwaddr="ip-192.168.1.77"))
    server.leases = [lease]
    server.queries = [query(0, 5)]
    assert drain(memory_store, collector).events == 1 + 40 + 1

    def seen() -> list[dict[str, Any]]:
        with memory_store.read() as reader:
            return reader.rows("SELECT * FROM sighting ORDER BY id")

    found = {row["ip"]: row for row in seen()}
    assert (found["192.168.1.7"]["mac"], found["192.168.1.7"]["name"]) == (
        "02:00:00:00:00:07", "host7"
    )  # fmt: skip
    assert found["192.168.1.77"]["mac"] is None
    assert found["192.168.1.50"]["method"] == "lease"
    assert found["192.168.1.50"]["mac"] == "02:00:00:00:00:aa"
    assert drain(memory_store, collector).events == 0  # nothing new
    server.leases[0]["expires"] += 600  # only renewed
    server.devices[3] = device(4, 0)
    collector.close()
    client = PiholeClient(server.url, "secret", limits=FAST)
    again = PiholeApiCollector(server.url, client=client, every_s=0.0)  # restarted
    assert drain(memory_store, again).events == 1
    server.leases[0]["name"] = "television"
    assert drain(memory_store, again).events == 1
    assert seen()[-1]["name"] == "television"
    again.close()
    assert len(rows(memory_store)) == 1


def test_an_absent_server_and_a_wrong_password(server: Pihole, memory_store: Store) -> None:
    for url, password, word in (
        ("http://127.0.0.1:9", "secret", "127.0.0.1:9"),
        (server.url, "wrong", "password"),
    ):
        client = PiholeClient(url, password, limits=FAST)
        collector = PiholeApiCollector(f"{url}#{word}", client=client, every_s=0.0)
        assert word in (drain(memory_store, collector).error or "")
        collector.close()


def test_queries_recorded_from_a_real_server_are_read(corpus: Any, memory_store: Store) -> None:
    recorded = json.loads((corpus / "pihole-live" / "api_queries_stats_info.json").read_text())
    seen: dict[int, dict[str, Any]] = {}
    for call in recorded:
        answer = call["response"]
        if call["path"].startswith("/queries?length=500") and isinstance(answer, dict):
            seen |= {row["id"]: row for row in answer.get("queries", [])}
    assert len(seen) > 2000
    fake = Pihole(password=None)
    shift = time.time() - max(row["time"] for row in seen.values()) - 60
    fake.queries = [row | {"time": row["time"] + shift} for row in seen.values()]
    client = PiholeClient(fake.url, None, limits=FAST)
    collector = PiholeApiCollector(fake.url, client=client, every_s=0.0)
    try:
        progress = drain(memory_store, collector)
        assert (progress.events, progress.rejected) == (len(seen), 0)
    finally:
        collector.close()
        fake.close()


class Adguard:
    """A stand-in for AdGuard Home's query log, newest first, paged by time."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self.barren = 0
        self.asked = 0
        description = described(SHARED / "apis" / "adguardhome-openapi.yaml")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                outer.asked += 1
                if self.headers["Authorization"] != "Basic a2VlcGVyOnNlY3JldA==":
                    self.send_response(401)
                    self.end_headers()
                    return
                asked = {key: value[-1] for key, value in parse_qs(url.query).items()}
                answer = outer.page(asked.get("older_than", ""), int(asked["limit"]))
                path = url.path.removeprefix("/control")
                if description is not None:
                    outer.problems += description.problems("GET", path, None, 200, answer)
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def page(self, older_than: str, limit: int) -> dict[str, Any]:
        if self.barren:  # it looked at as many lines as it does at a time, and found none
            self.barren -= 1
            return {"data": [], "oldest": older_than or entry(0, "x")["time"]}
        found = sorted(self.entries, key=lambda entry: entry["time"], reverse=True)
        page = [entry for entry in found if not older_than or entry["time"] < older_than][:limit]
        return {"data": page, "oldest": page[-1]["time"] if page else ""}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def entry(ago_s: float, name: str, **values: Any) -> dict[str, Any]:
    when = datetime.now(UTC) - timedelta(seconds=ago_s)
    return {
        "time": when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z", "client": "192.168.1.5",
        "client_proto": "", "elapsedMs": "12.5", "reason": "NotFilteredNotFound",
        "question": {"class": "IN", "name": name, "type": "A"}, "status": "NOERROR",
        "upstream": "https://dns.example/dns-query", "cached": False, "rules": [],
        "answer": [{"type": "A", "value": "192.0.2.7", "ttl": 60}],
        "client_info": {"name": "laptop", "whois": {}, "disallowed": False, "disallowed_rule": ""},
    } | values  # fmt: skip


def test_adguard_home(memory_store: Store) -> None:
    server = Adguard()
    client = AdguardClient(server.url, "keeper", "secret", limits=FAST)
    collector = AdguardApiCollector(server.url, client=client, every_s=0.0)
    try:
        server.entries = [entry(3000 - n, f"n{n}.example") for n in range(1200)]
        assert drain(memory_store, collector).events == 1200
        assert drain(memory_store, collector).events == 0
        server.entries += [
            entry(1.0, "ads.example", reason="FilteredBlackList", answer=[]),
            entry(0.5, "nas.lan", reason="RewriteEtcHosts"),
            entry(0.1, "bad.example", client="nobody"),
        ]
        progress = drain(memory_store, collector)
        assert (progress.events, progress.rejected) == (2, 1)
        server.barren = 1
        server.entries.append(entry(3.0, "slow.example", cached=True))
        drain(memory_store, collector)
        found = {row["rrname"]: row for row in rows(memory_store)}
        assert len(rows(memory_store)) == len(found) == 1203
        assert found["n0.example"]["answers"] == ["192.0.2.7"]
        assert found["n0.example"]["client_name"] == "laptop"
        assert found["ads.example"]["blocked"] is True
        assert found["nas.lan"]["status"] == "local"
        assert found["slow.example"]["status"] == "cached"
        assert server.problems == []
    finally:
        collector.close()
        server.close()


def test_adguard_home_refuses_a_stranger(memory_store: Store) -> None:
    server = Adguard()
    client = AdguardClient(server.url, "keeper", "wrong", limits=FAST)
    collector = AdguardApiCollector(server.url, client=client)
    assert "401" in (drain(memory_store, collector).error or "")
    asked = server.asked
    again = drain(memory_store, collector).error or ""
    assert "asked again in 300 s" in again  # five refusals would lock everybody out
    assert server.asked == asked
    collector.close()
    server.close()


def test_the_pause_grows_and_is_bounded() -> None:
    poller = remote.Poller(1.0)
    pauses = []
    for _ in range(12):
        text = str(poller._failed("away"))
        pauses.append(float(text.split("again in ")[1].split(" ", maxsplit=1)[0]))
    assert pauses[:3] == [2.0, 4.0, 8.0]
    assert pauses[-1] == remote.MAX_PAUSE_S


def test_closing_ends_what_is_under_way() -> None:
    poller = remote.Poller(1.0)
    begun = threading.Event()
    said: list[str] = []

    async def never() -> None:
        begun.set()
        await asyncio.Event().wait()

    def read() -> None:
        try:
            poller.call(never())
        except CollectorError as error:
            said.append(str(error))

    async def farewell() -> None:
        said.append("farewell")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert begun.wait(60)
    poller.close(farewell())
    reader.join(60)  # it would wait for CALL_TIMEOUT_S, twice as long
    assert not reader.is_alive()
    assert sorted(said) == ["farewell", remote.CLOSED]
    with pytest.raises(CollectorError, match="closed"):
        poller.call(never())
    poller.close(farewell())
    assert len(said) == 2
