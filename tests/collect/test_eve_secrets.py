"""A password that crossed the wire is never kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from guardian.collect.eve import EveCollector
from guardian.collect.reader import drain

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

COMMON = {
    "timestamp": "2026-11-20T20:00:00.000000+0000",
    "flow_id": 1,
    "src_ip": "192.168.1.30",
    "src_port": 40000,
    "dest_ip": "203.0.113.9",
    "dest_port": 21,
    "proto": "TCP",
}
EVENTS = [
    {"event_type": "ftp", "ftp": {"command": "PASS", "command_data": 'hunter2"\\x'}},
    {"event_type": "ftp", "ftp": {"command": "USER", "command_data": "anna"}},
    {"event_type": "mqtt", "mqtt": {"connect": {"username": "tv", "password": "hunter2"}}},
    {
        "event_type": "alert",
        "alert": {"signature_id": 1, "signature": "x", "severity": 1, "action": "allowed"},
        "http": {"url": "/cam?user=anna&pwd=hunter2"},
        "payload_printable": "GET /?token=hunter2 HTTP/1.1\r\nAuthorization: Basic hunter2==\r\n"
        "Host: nas\r\n",
    },
    {"event_type": "pop3", "pop3": {"request": {"command": "PASS", "args": ["hunter2"]}}},
    {
        "event_type": "http",
        "http": {
            "hostname": "cam.example",
            "url": "/login?user=anna&password=hunter2&next=1",
            "http_refer": "http://anna:hunter2@cam.example/?token=hunter2",
        },
    },
    {
        "event_type": "fileinfo",
        "fileinfo": {"filename": "/get?api_key=hunter2", "size": 1, "state": "CLOSED"},
        "http": {"url": "/get?api_key=hunter2&x=1"},
    },
]


def test_passwords_are_hidden_and_the_rest_is_kept(memory_store: Store, tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_text(
        "".join(json.dumps(COMMON | event, separators=(",", ":")) + "\n" for event in EVENTS)
    )
    progress = drain(memory_store, EveCollector(path=log), final=True)
    assert (progress.events, progress.rejected) == (7, 0)
    with memory_store.read() as reader:
        kept = [row["raw"] for row in reader.rows("SELECT raw FROM raw_event ORDER BY id")]
        payload = reader.value("SELECT payload_printable FROM alert")
        webs = [
            row
            for table in ("http", "fileinfo", "alert")
            for row in reader.rows(f"SELECT * FROM {table}")
        ]
    assert "hunter2" not in "".join(kept) + payload + repr(webs)
    assert webs[0]["url"] == "/login?user=anna&password=(hidden)&next=1"
    assert webs[0]["http_refer"] == "http://anna:(hidden)@cam.example/?token=(hidden)"
    assert webs[2]["url"] == "/cam?user=anna&pwd=(hidden)"
    events = [json.loads(text) for text in kept]
    assert [event["ftp"]["command_data"] for event in events if "ftp" in event] == [
        "(hidden)",
        "anna",
    ]
    assert [e["mqtt"]["connect"]["username"] for e in events if "mqtt" in e] == ["tv"]
    assert "Host: nas" in payload
