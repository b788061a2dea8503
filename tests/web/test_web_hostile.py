"""What strangers choose, from the log to every page, the letter, the terminal and the API."""

from __future__ import annotations

import argparse
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from guardian import detect, respond, triage
from guardian.app.service import Service
from guardian.cli import output
from guardian.collect import registry
from guardian.collect.reader import drain
from guardian.config import Config
from guardian.notify import digest
from guardian.store import Store
from guardian.store.ingest import utc_now
from guardian.web import Settings, auth
from web.conftest import serving
from web.seed import evening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MARK = "zq<img src=x onerror=alert(1)>\x1b[31m\u202e{{1357*2468}}=cmd()"
"""Markup, a terminal's colour, a turn of direction, a template and a formula."""

SHOWN = "zq&lt;img src=x onerror=alert(1)&gt;"
RAW = re.compile("<img src=x|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202e]|3349076")

# Every column that holds what somebody else chose, or what a person typed.
TYPED = {
    "device": ("name", "vendor", "model", "owner", "room", "segment"),
    "device_hint": ("value",),
    "device_event": ("detail",),
    "source": ("name", "path", "detail"),
    "component_state": ("detail",),
    "name_hit": ("company", "service"),
    "finding": ("title",),
    "incident": ("title", "summary", "explanation", "expert", "written_by"),
    "proposal": ("title", "consequence"),
    "decision": ("actor",),
    "enforcement": ("error",),
    "feedback": ("actor", "reason"),
    "suppression": ("reason", "author", "domain"),
    "opt_out": ("company", "author", "note"),
    "model_endpoint": ("model", "url", "detail"),
    "explain_job": ("detail",),
    "overflow_sent": ("url", "model", "reply"),
    "dns_log": ("client_name",),
    "tls": ("sni", "subject", "issuerdn"),
    "http": ("hostname", "url", "http_user_agent", "http_refer"),
}
FIXED = ("/", "/incidents", "/devices", "/networks", "/names", "/approvals", "/privacy",
         "/quality", "/lists", "/silenced", "/health", "/ask", "/sent/1",
         "/ask?q=what+happened", "/ask?q=zq%3Cimg+src%3Dx+onerror%3Dalert(1)%3E",
         "/ask?question=destinations", "/ask?question=names", "/ask?question=new&when=744h",
         "/ask?question=contacted&about=zq%3Cimg", "/ask?question=health")  # fmt: skip


def eve(moment: str) -> Iterator[dict[str, Any]]:
    """Return one event of each kind, hostile in every field that somebody else fills."""
    base = {"timestamp": moment, "src_ip": "192.168.30.77", "src_port": 40000,
            "dest_ip": "203.0.113.77", "dest_port": 443, "proto": "TCP"}  # fmt: skip
    kinds: dict[str, dict[str, Any]] = {
        "dns": {"type": "query", "rrname": MARK, "rrtype": "A", "tx_id": 0, "id": 1},
        "tls": {"sni": MARK, "subject": MARK, "issuerdn": MARK, "version": "TLS 1.3",
                "serial": MARK, "fingerprint": MARK, "ja3": {"hash": MARK}, "client_alpns": [MARK],
                "subjectaltname": [MARK]},
        "http": {"hostname": MARK, "url": MARK, "http_user_agent": MARK, "http_refer": MARK,
                 "http_method": MARK, "http_content_type": MARK, "protocol": MARK, "status": 200},
        "ssh": {"client": {"proto_version": MARK, "software_version": MARK},
                "server": {"proto_version": MARK, "software_version": MARK}},
        "smtp": {"helo": MARK, "mail_from": MARK, "rcpt_to": [MARK]},
        "ftp": {"command": "USER", "command_data": MARK},
        "quic": {"sni": MARK, "ua": MARK, "version": MARK},
        "fileinfo": {"filename": MARK, "magic": MARK, "state": "CLOSED", "size": 9, "gaps": False},
        "dhcp": {"type": "request", "id": 1, "client_mac": "02:00:00:00:00:77",
                 "assigned_ip": "192.168.30.77", "hostname": MARK, "vendor_class_identifier": MARK,
                 "dhcp_type": "request"},
        "mdns": {"type": "response", "answers": [{"rrname": MARK, "rdata": MARK}]},
    }  # fmt: skip
    for number, (kind, values) in enumerate(kinds.items(), start=1):
        yield {**base, "flow_id": number, "event_type": kind, kind: values}
    yield {
        **base, "flow_id": 99, "event_type": "alert", "app_proto": MARK,
        "alert": {"signature": MARK, "category": MARK, "severity": 1, "signature_id": 9,
                  "gid": 1, "rev": 1, "action": "allowed", "metadata": {"policy": [MARK]}},
        "payload_printable": MARK, "tls": {"sni": MARK}, "http": {"hostname": MARK, "url": MARK},
    }  # fmt: skip
    yield {**base, "flow_id": 99, "event_type": "flow", "app_proto": MARK,
           "flow": {"pkts_toserver": 9, "bytes_toserver": 900, "start": moment, "end": moment,
                    "state": MARK, "reason": MARK}}  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An evening in which every string is an attack, read from a log where one can be."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    store = Store.open(folder / "guardian.duckdb")
    now = utc_now()
    evening(store, now)
    with store.transaction() as tx:
        # The evening numbered its sources itself.
        tx.rows("SELECT nextval('source_seq') FROM range(9)")
    log = folder / "eve.json"
    moment = (now - timedelta(minutes=3)).strftime("%Y-%m-%dT%H:%M:%S.000000+0000")
    log.write_text("".join(json.dumps(each) + "\n" for each in eve(moment)))
    done = drain(store, registry.KINDS["eve"](log), final=True)
    assert done.events >= 8
    detect.run(store, detect.Settings(), now=now)
    triage.run(store, triage.Settings(timezone="UTC"), now=now)
    respond.propose(store, respond.Settings(), now=now)
    fill(store)
    yield store
    store.close()


def fill(store: Store) -> None:
    """Put the mark wherever rows of the evening hold free text, and where there is no row yet."""
    with store.transaction() as tx:
        number = tx.value("SELECT min(id) FROM incident")
        tx.execute(
            "INSERT INTO overflow_sent (incident_id, packet_hash, sent_at, url, model, body, "
            "pseudonyms, outcome, reply) VALUES (?, 'h', ?, 'u', 'm', ?, ?, ?, 'r')",
            [number, utc_now(), MARK.encode(), json.dumps({MARK: MARK}), MARK],
        )
        tx.execute(
            "INSERT INTO feedback (incident_id, answer, class, actor, reason, given_at) "
            "VALUES (?, 'right', 'malware', 'a', 'b', ?)",
            [number, utc_now()],
        )
        tx.execute(
            "INSERT INTO suppression (class, author, reason, created_at) "
            "VALUES ('acr', 'a', 'b', ?)",
            [utc_now()],
        )
        for table, columns in TYPED.items():
            for column in columns:
                tx.execute(f"UPDATE {table} SET {column} = ? || rowid", [MARK])
        facts = [{"id": "F1", "kind": "who", "text": MARK, "values": {"name": MARK}}]
        claims = [{"text": MARK, "facts": ["F1", MARK]}]
        score = [{"what": MARK, "weight": 0.5}]
        tx.execute(
            "UPDATE incident SET facts = ?, claims = ?, score = ?",
            [json.dumps(facts), json.dumps(claims), json.dumps(score)],
        )


def crawl(http: httpx.Client) -> dict[str, str]:
    """Return every page that can be reached, by its path."""
    found: dict[str, str] = {}
    waiting = list(FIXED)
    while waiting and len(found) < 90:
        path = waiting.pop(0)
        answer = http.get(path)
        assert answer.status_code < 500, (path, answer.text[:300])
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        found[path] = answer.text
        for href in re.findall(r'href="(/[^"#]*)', answer.text):
            plain = href.replace("&amp;", "&")
            if plain not in found and plain not in waiting and "/static/" not in plain:
                waiting.append(plain)
    return found


def test_no_page_takes_a_strangers_words_for_its_own(hostile: Store) -> None:
    with serving(hostile) as page, httpx.Client(base_url=page.url, timeout=60) as http:
        pages = crawl(http)
        api = [http.get(f"/api/{each}").text for each in ("findings", "incidents", "devices")]
    showing = set()
    for path, text in pages.items():
        bad = RAW.search(text)
        assert bad is None, (path, text[max(0, bad.start() - 200) : bad.end() + 50])
        assert not re.search(r'(?:href|src|action|hx-\w+)="[^"]*(?:zq|javascript:)[^/?&"]', text), (
            path
        )
        if SHOWN in text:
            showing.add(path.split("?")[0].rstrip("0123456789"))
    # That nothing is broken proves something only where the words are shown.
    assert {"/", "/incidents", "/incidents/", "/devices", "/sent/", "/silenced", "/ask"} <= showing
    for text in api:
        assert "\x1b" not in text
        assert json.loads(text) is not None


def test_no_letter_takes_them_either(hostile: Store) -> None:
    now = utc_now()
    letter = digest.build(hostile, since=now - timedelta(days=1), until=now, now=now)
    assert "zq" in letter.text
    for text in (letter.title, letter.text, letter.html):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)
    assert "<img src=x" not in letter.html
    assert "\n" not in letter.title


@pytest.mark.parametrize(
    ("call", "options"),
    [("findings", {}), ("incidents", {}), ("devices", {}), ("proposals", {}), ("status", {}),
     ("suppressions", {}), ("overflow_list", {}), ("quality", {}), ("explain", {"incident": 214}),
     ("overflow_show", {"number": 1})],
)  # fmt: skip
def test_a_terminal_obeys_nobody(
    hostile: Store, capsys: pytest.CaptureFixture[str], call: str, options: dict[str, Any]
) -> None:
    found = Service(store=hostile, config=Config()).call(call, options)
    rows = found if isinstance(found, list) else [found]
    for row in rows[:20]:
        output.emit(argparse.Namespace(format="table"), [row], tuple(row))
        output.emit(argparse.Namespace(format="table"), row)
        for value in row.values():
            output.say(str(value))
    said = capsys.readouterr().out
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", said)


def test_without_a_password_no_route_answers(store: Store) -> None:
    """There is one role, the keeper's: who is not signed in sees no page and changes nothing."""
    evening(store, utc_now())
    with store.read() as reader:
        before = reader.value("SELECT count(*) FROM decision WHERE verb = 'approve'")
    auth.set_password(store, "a long enough password")
    with (
        serving(store, settings=Settings(login="always")) as page,
        httpx.Client(base_url=page.url, follow_redirects=False) as http,
    ):
        for path in (*FIXED, "/incidents/1", "/incidents/1/packets", "/api/incidents"):
            answer = http.get(path)
            assert answer.status_code in (303, 401, 403), path
            assert "Anna" not in answer.text
        for path in ("/incidents/1/say", "/incidents/1/unsay/1", "/incidents/1/fine",
                     "/silenced/1/lift", "/devices/laptop/set", "/networks", "/privacy/off",
                     "/privacy/away", "/lists/accept", "/p/1/approve"):  # fmt: skip
            answer = http.post(path, headers={"origin": page.url}, data={"answer": "right"})
            assert answer.status_code in (303, 401, 403), path
            assert "/login" in answer.headers.get("location", "/login")
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM feedback") == 0
        assert reader.value("SELECT count(*) FROM decision WHERE verb = 'approve'") == before
