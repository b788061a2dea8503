"""What the pages say: hostile names stay text, states have their own words, JSON its form."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.model import words
from guardian.store import privacy
from guardian.store.ingest import utc_now
from guardian.web import cards
from web.seed import NOW, evening, insert

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.store import Store

PATHS = (
    "/", "/incidents", "/incidents/214", "/incidents/214/evidence", "/approvals", "/p/1", "/p/3",
    "/devices", "/devices/d1", "/privacy", "/health", "/p/1/card",
)  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}{% raw %}",
    "' onmouseover='alert(1)", "</title><svg onload=alert(1)>", "\u202etxt.exe\u2066\x00\x1b[31m",
    "javascript:alert(1)", "&lt;b&gt;", "hx-get=/x",
)  # fmt: skip
TEXT_COLUMNS = {
    "incident": ("title", "summary", "explanation", "expert", "written_by"),
    "device": ("name", "kind", "vendor", "model", "owner", "room", "segment", "mac"),
    "finding": ("title", "detector", "src_ip"),
    "proposal": ("title", "consequence"),
    "source": ("name", "kind", "detail", "path"),
    "component_state": ("name", "detail"),
    "reject_count": ("reason",),
    "quarantine": ("place", "reason"),
    "enforcement": ("error",),
    "enforcement_step": ("detail",),
    "decision": ("actor",),
    "name_hit": ("company", "service"),
    "flow": ("app_proto", "dest_ip"),
}


class Tags(HTMLParser):
    """Collect what a browser would see as elements and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(sorted(name for name, _ in attrs))))


def elements(text: str) -> set[tuple[str, tuple[str, ...]]]:
    parser = Tags()
    parser.feed(text)
    return set(parser.found)


@pytest.mark.parametrize("bad", HOSTILE)
def test_a_strangers_string_is_only_ever_text(
    house: Store, serve: Callable[..., Any], bad: str
) -> None:
    with serve(house) as running:
        clean = {path: elements(httpx.get(running.url + path).text) for path in PATHS}
        with house.transaction() as tx:
            for table, columns in TEXT_COLUMNS.items():
                for column in columns:
                    unique = column == "name" and table in {"source", "component_state"}
                    value = f"rowid::VARCHAR || ' ' || {'$bad'}" if unique else "$bad"
                    tx.execute(f"UPDATE {table} SET {column} = {value}", {"bad": bad})
            tx.execute(
                "UPDATE incident SET facts = $facts, claims = $claims WHERE id = 214",
                {
                    "facts": _json([{"id": bad, "kind": bad, "text": bad, "values": {bad: bad}}]),
                    "claims": _json([{"text": bad, "facts": [bad]}]),
                },
            )
        for path in PATHS:
            answer = httpx.get(running.url + path)
            assert answer.status_code == 200, path
            dangerous = {"script", "img", "svg", "iframe", "object", "form", "style", "base"}
            fresh = {each for each in elements(answer.text) - clean[path] if each[0] in dangerous}
            assert not fresh, path
            handlers = [
                each for each in elements(answer.text) if any(n.startswith("on") for n in each[1])
            ]
            assert not handlers, path
            assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", answer.text), path
            assert "7 * 7" in answer.text or "49" not in answer.text or bad != HOSTILE[2]


def _json(value: Any) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value)


@given(st.text(max_size=500), st.integers(min_value=1, max_value=300))
def test_cleaned_text_is_short_and_plain(text: str, limit: int) -> None:
    made = words.clean(text, limit)
    assert len(made) <= limit
    assert made.isprintable() or " " in made or not made
    assert words.clean(made, limit) == made


def test_an_empty_house_says_what_to_do(store: Store, serve: Callable[..., Any]) -> None:
    with serve(store) as running:
        text = httpx.get(running.url).text
        assert "has seen nothing yet" in text
        assert "guardian run --eve PATH" in text
        assert "No incident so far" in httpx.get(f"{running.url}/incidents").text
        assert "No device was seen yet" in httpx.get(f"{running.url}/devices").text
        assert "Nothing was recognised yet" in httpx.get(f"{running.url}/privacy").text
        assert "Nothing is being read" in httpx.get(f"{running.url}/health").text


def test_filtered_away_is_not_empty(house: Store, serve: Callable[..., Any]) -> None:
    with serve(house) as running:
        assert "hidden by it" in httpx.get(f"{running.url}/incidents?q=zzz").text
        assert "No device fits" in httpx.get(f"{running.url}/devices?q=zzz").text
        found = httpx.get(f"{running.url}/incidents?verdict=surveillance").text
        assert "Samsung" in found
        assert "unknown server" not in found


def test_blind_learning_and_replayed_have_their_own_words(
    house: Store, memory_store: Store, serve: Callable[..., Any]
) -> None:
    with serve(house) as running:
        with house.transaction() as tx:
            tx.execute("UPDATE device SET first_seen = last_seen - INTERVAL 1 HOUR")
        assert "still getting to know the house" in httpx.get(running.url).text
        with house.transaction() as tx:
            tx.execute("UPDATE source SET state = 'failed', detail = 'permission denied'")
        text = httpx.get(running.url).text
        assert "cannot see the house just now" in text
        assert "permission denied" in text
    evening(memory_store, NOW - timedelta(days=400))
    with serve(memory_store) as running:
        text = httpx.get(running.url).text
        assert "A recording that ends on" in text
        assert "Samsung" in text


def test_a_failure_is_never_shown_as_success(house: Store, serve: Callable[..., Any]) -> None:
    with house.transaction() as tx:
        tx.execute(
            "UPDATE enforcement SET state = 'failed', verified_at = NULL, "
            "error = 'the Pi-hole is away'"
        )
    with serve(house) as running:
        text = httpx.get(f"{running.url}/p/3").text
    assert "Did not work" in text
    assert "the Pi-hole is away" in text
    assert "✓ verified" not in text
    assert "Blocked" not in text


def test_what_takes_a_device_away_asks_twice(house: Store, serve: Callable[..., Any]) -> None:
    action = next(iter(cards.ASKS_TWICE))
    with house.transaction() as tx:
        tx.execute("UPDATE proposal SET action = ? WHERE id = 1", [action])
    with serve(house) as running, httpx.Client(base_url=running.url) as client:
        assert client.post("/p/1/approve").headers["location"] == "/p/1/sure"
        with house.read() as reader:
            assert reader.value("SELECT count(*) FROM decision WHERE proposal_id = 1") == 0
        assert "Are you sure?" in client.get("/p/1/sure").text
        assert client.post("/p/1/approve", data={"sure": "yes"}).headers["location"] == "/p/1"
        with house.read() as reader:
            assert reader.value("SELECT count(*) FROM decision WHERE proposal_id = 1") == 1


def test_without_an_enforcer_nothing_is_promised(house: Store, serve: Callable[..., Any]) -> None:
    with house.transaction() as tx:
        tx.execute("UPDATE proposal SET responder = 'none' WHERE id = 1")
    with serve(house) as running:
        text = httpx.get(f"{running.url}/p/1").text
        assert "No enforcer is set up yet" in text
        assert "/p/1/approve" not in text
        refused = httpx.post(f"{running.url}/p/1/approve")
        assert refused.status_code in {409, 500, 503}


def test_the_json_has_the_promised_form(house: Store, serve: Callable[..., Any]) -> None:
    state = {"running": True, "health": {"state": "green", "reasons": []}}
    with (
        serve(house, status=lambda: state) as running,
        httpx.Client(base_url=running.url) as client,
    ):
        (finding, *_) = client.get("/api/findings").json()
        promised = (
            "id, class, level, detector, device, src_ip, peers, first_seen, last_seen, count, "
            "facts, evidence"
        )
        assert set(promised.split(", ")) <= finding.keys()
        assert finding["first_seen"].endswith("Z")
        (incident, *_) = client.get("/api/incidents").json()
        promised = (
            "id, title, verdict, confidence, level, device, classes, findings, first_seen, "
            "last_seen, summary, explanation, claims, proposals, status"
        )
        assert set(promised.split(", ")) <= incident.keys()
        assert {each["name"] for each in client.get("/api/devices").json()} >= {"Printer"}
        assert client.get("/api/status").json() == state
        assert client.get("/api/health").json() == state["health"]
        assert [each["id"] for each in client.get("/api/proposals?status=proposed").json()] == [
            2,
            1,
        ]
        answered = client.post("/api/proposals/1/approve").json()
        assert (answered["id"], answered["status"]) == (1, "approved")
        assert running.woken.is_set()
        assert client.post("/api/proposals/1/eat").status_code == 422
        assert client.post("/api/proposals/99/approve").status_code == 404
        assert client.post("/api/proposals/2/revert").status_code == 404
        assert "error" in client.get("/api/nothing").json()


def test_lists_are_bounded(house: Store, serve: Callable[..., Any]) -> None:
    with house.transaction() as tx:
        for number in range(1000, 1120):
            insert(
                tx, "incident", id=number, key=f"n{number}", title=f"Noise {number}",
                verdict="suspicious", confidence=0.5, level="medium", classes=["port_scan"],
                first_seen=NOW, last_seen=NOW, summary="s", explanation="", facts="[]", claims="[]",
                score="[]", packet_hash="h", written_by="template", created_at=NOW, updated_at=NOW,
            )  # fmt: skip
    with serve(house) as running:
        first = httpx.get(f"{running.url}/incidents").text
        assert first.count('href="/incidents/') <= 55
        assert "Older" in first
        assert "Newer" in httpx.get(f"{running.url}/incidents?page=2").text
        assert httpx.get(f"{running.url}/incidents?page=99999999999999").status_code in (200, 422)


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 s"), (3600, "60 min"), (86400, "24 h"), (604800, "7 days")]
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0, "0 B"),
        (999, "999 B"),
        (1200, "1.2 KB"),
        (210_000, "210 KB"),
        (999_900, "1.0 MB"),
    ],
)
def test_sizes(value: float | None, text: str) -> None:
    assert words.size(value) == text


def test_fine_here_is_previewed_done_and_undone(house: Store, serve: Callable[..., Any]) -> None:
    def kept() -> int:
        with house.read() as reader:
            return int(reader.value("SELECT count(*) FROM suppression"))

    with serve(house) as running, httpx.Client(base_url=running.url) as client:
        asked = client.post("/incidents/213/fine")
        assert "hides 1 finding." in asked.text
        assert "TV viewing" in asked.text
        assert kept() == 0
        done = client.post("/incidents/213/fine", data={"sure": "yes", "reason": "<b>We know</b>"})
        assert done.headers["location"] == "/silenced"
        assert kept() == 1
        listed = client.get("/silenced").text
        assert "&lt;b&gt;We know&lt;/b&gt;" in listed
        assert "Living-room TV" in listed
        assert "Samsung" not in client.get("/incidents").text
        assert "Samsung" not in client.get("/approvals").text
        found = re.search(r"/silenced/(\d+)/lift", listed)
        assert found
        client.post(found.group(0))
        assert "Samsung" in client.get("/incidents").text
        assert kept() == 0


def test_a_name_is_explained_and_an_unknown_one_is_an_answer(
    house: Store, serve: Callable[..., Any]
) -> None:
    with serve(house) as running, httpx.Client(base_url=running.url) as client:
        known = client.get("/names", params={"name": "ads.example"})
        assert known.status_code == 200
        assert "does not know this name" in known.text
        assert "Kids&#39; tablet" in known.text
        wrong = client.get("/names", params={"name": "<b>not a name</b>"})
        assert wrong.status_code == 200
        assert "&lt;b&gt;" in wrong.text
        assert "<b>not" not in wrong.text


def test_what_a_person_says_is_kept_and_taken_back(house: Store, serve: Callable[..., Any]) -> None:
    with serve(house) as running, httpx.Client(base_url=running.url) as client:
        assert client.post("/incidents/213/say", data={"answer": "expected"}).status_code == 303
        page = client.get("/incidents/213").text
        assert "You said <b>expected here</b>" in page
        (path,) = re.findall(r"/incidents/213/unsay/\d+", page)
        assert client.post(path.replace("213", "214")).status_code == 404
        assert client.post(path).status_code == 303
        assert "You said" not in client.get("/incidents/213").text
        for _ in range(2):
            client.post("/incidents/213/say", data={"answer": "expected"})
        assert "You said twice that it is expected" in client.get("/incidents/213").text
        assert client.post("/incidents/213/say", data={"answer": "delete"}).status_code == 404


def test_a_question_is_answered_with_its_rows(house: Store, serve: Callable[..., Any]) -> None:
    with serve(house) as running, httpx.Client(base_url=running.url) as client:
        menu = client.get("/ask").text.partition('name="question"')[2].partition("</select>")[0]
        for name in re.findall(r'<option value="([a-z_]+)"', menu):
            answer = client.get(
                "/ask", params={"question": name, "device": "d1", "about": "example"}
            )
            assert answer.status_code == 200, name
            assert 'role="alert"' not in answer.text, name
        asked = client.get("/ask", params={"q": "which new devices joined this week?"}).text
        assert "Understood by its words as" in asked
        odd = client.get("/ask", params={"q": "<b>zxq</b>"})
        assert odd.status_code == 200
        assert "not on the menu" in odd.text
        assert "<b>zxq" not in odd.text


def test_what_was_switched_off_is_checked(house: Store, serve: Callable[..., Any]) -> None:
    now = utc_now()
    with house.transaction() as tx:
        privacy.record_opt_out(
            tx, device_id="d2", finding_class="acr", switched_off_at=now - timedelta(minutes=5),
            author="Anna", now=now,
        )  # fmt: skip
    with serve(house) as running:
        text = httpx.get(f"{running.url}/privacy").text
    assert "Did switching it off work?" in text
    assert "Too early to say" in text
    assert "The figures" in text
