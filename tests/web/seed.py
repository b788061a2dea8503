"""Fill a store with an evening, so that the pages have something to say."""
# ruff: noqa: E501 - rows are read better whole

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardian.store import Store

NOW = datetime(2026, 11, 21, 21, 30)
SERVER = "198.51.100.22"


def minutes(value: float) -> datetime:
    """That many minutes before the evening's now."""
    return NOW - timedelta(minutes=value)


def evening(store: Store, now: datetime = NOW) -> None:
    """Write the reference evening: a beacon, a TV, a camera handled, a tablet noted."""
    shift = now - NOW
    # Hundreds of rows one by one in one transaction take more than a daemon ever does.
    with store.more_memory(1 << 30), store.transaction() as tx:
        _sources(tx, shift)
        _devices(tx, shift)
        ids = _flows(tx, shift)
        _incidents(tx, shift, ids)
        _responses(tx, shift)


def insert(tx: Any, table: str, **values: Any) -> None:
    """Insert one row, JSON for what is a mapping or a list of mappings."""
    names = ", ".join(values)
    marks = ", ".join("?" for _ in values)
    made = [
        json.dumps(value)
        if isinstance(value, dict)
        or (isinstance(value, list) and value and isinstance(value[0], dict))
        else value
        for value in values.values()
    ]
    tx.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", made)


def _sources(tx: Any, shift: timedelta) -> None:
    for number, (name, kind, events, rejected) in enumerate(
        [("eve.json", "eve", 41_200, 0), ("pihole.log", "pihole-log", 9_800, 12)], 1
    ):
        insert(
            tx, "source", source_id=number, name=name, kind=kind, path=f"/var/log/{name}",
            events=events, rejected=rejected, last_event=minutes(0) + shift,
            last_read=minutes(0) + shift,
        )  # fmt: skip
    tx.execute("INSERT INTO reject_count VALUES (2, 'not a query line', 12)")
    insert(
        tx, "quarantine", source_id=2, noted_at=minutes(30) + shift, place="1204",
        reason="not a query line", sample=b"\xff\xfe<script>alert(1)</script>\x00",
    )  # fmt: skip
    insert(
        tx, "component_state", name="model", state="amber", since=minutes(300) + shift,
        detail="no model server is set up; templates write the words",
    )  # fmt: skip


DEVICES = [
    ("d1", "Anna's laptop", "laptop", "Lenovo", "192.168.30.14"),
    ("d2", "Living-room TV", "tv", "Samsung", "192.168.30.20"),
    ("d3", "Front-door camera", "camera", "Ring", "192.168.30.31"),
    ("d4", "Kids' tablet", "tablet", "Amazon", "192.168.30.40"),
    ("d5", "Printer", "printer", "HP", "192.168.30.50"),
]


def _devices(tx: Any, shift: timedelta) -> None:
    for number, (key, name, kind, vendor, ip) in enumerate(DEVICES):
        insert(
            tx, "device", device_id=key, name=name, kind=kind, vendor=vendor,
            mac=f"02:00:00:00:00:0{number}", segment="trusted",
            first_seen=minutes(60 * 24 * 260) + shift, last_seen=minutes(number) + shift,
            reasons={"name": "DHCP host name", "kind": "what it talks to"},
        )  # fmt: skip
        insert(
            tx, "device_address", device_id=key, ip=ip, valid_from=minutes(60 * 24 * 9) + shift,
            seen_at=minutes(number) + shift,
        )  # fmt: skip


def _flows(tx: Any, shift: timedelta) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"beacon": [], "acr": []}
    number = 1

    def flow(ago: float, src: str, dest: str, up: int, down: int) -> str:
        nonlocal number
        insert(
            tx, "flow", id=number, ts=minutes(ago) + shift, source_id=1, src_ip=src, src_port=50000,
            dest_ip=dest, dest_port=443, proto="TCP", app_proto="tls", bytes_toserver=up,
            bytes_toclient=down,
        )  # fmt: skip
        number += 1
        return f"flow:{number - 1}"

    for step in range(147):
        wobble = ((step * 7) % 5 - 2) / 60
        found["beacon"].append(
            flow(148 - step + wobble, "192.168.30.14", SERVER, 8_100, 22_900 + step)
        )
        if step % 6 == 0:
            flow(147.4 - step, "192.168.30.14", f"203.0.113.{step % 9}", 2_000, 90_000)
    names = [
        ("192.168.30.20", "acr.tv.example", 141), ("192.168.30.40", "voice.example", 38),
        ("192.168.30.31", "cam.example", 30), ("192.168.30.14", "telemetry.example", 12),
    ]  # fmt: skip
    for src, name, count in names:
        for step in range(count):
            insert(
                tx, "tls", id=number, ts=minutes(600 - step * 3) + shift, source_id=1, src_ip=src,
                dest_ip="203.0.113.80", dest_port=443, sni=name,
            )  # fmt: skip
            found["acr"].append(f"tls:{number}")
            number += 1
    for step in range(40):
        insert(
            tx, "dns_log", id=number, ts=minutes(500 - step * 9) + shift, source_id=2,
            src_ip="192.168.30.40", rrname="ads.example", rrtype="A", status="blocked", blocked=True,
        )  # fmt: skip
        number += 1
    for name, cls, company in [
        ("acr.tv.example", "acr", "Samsung"), ("voice.example", "voice_assistant", "Amazon"),
        ("cam.example", "camera_cloud", "Ring"), ("telemetry.example", "os_telemetry", "Microsoft"),
    ]:  # fmt: skip
        insert(
            tx, "name_hit", name=name, entry_id=company.lower(), **{"class": cls}, company=company,
            service=cls, purposes=[], grade="list", breakage="none", pattern=name,
        )  # fmt: skip
    return found


FACTS = [
    {"id": "F1", "kind": "file", "text": "Executable file over HTTP, 412 KB, at 19:01", "values": {}},
    {"id": "F2", "kind": "rhythm", "text": f"147 TLS connections to {SERVER}:443, median gap 60.0 s, jitter 1.8 %", "values": {}},
    {"id": "F3", "kind": "tls", "text": "TLS certificate self-signed, 2 days old", "values": {}},
    {"id": "F4", "kind": "unknown", "text": "Not known: what the program does; the connection is encrypted", "values": {}},
]  # fmt: skip
CLAIMS = [
    {"text": "Since 19:02 this laptop has called one server 147 times, evenly, once a minute", "facts": ["F2"]},
    {"text": "A minute before it began, a program was downloaded from a bare address", "facts": ["F1"]},
    {"text": "That is how remote-control malware keeps in touch; an updater would use a known name", "facts": ["F3"]},
]  # fmt: skip


def _incidents(tx: Any, shift: timedelta, ids: dict[str, list[str]]) -> None:
    rows = [
        (214, "Calls an unknown server every minute", "malicious", 0.9, "high", "d1", ["c2_beacon"],
         148, 1, "open", "It began a minute after a program was downloaded from a bare address. 147 calls so far, 1.2 MB sent."),
        (213, "Reports what is on the screen to Samsung", "surveillance", 0.8, "medium", "d2", ["acr"],
         600, 5, "open", "141 times today, about once in three minutes while the TV is on."),
        (212, "Front-door camera looked around the network", "suspicious", 0.6, "medium", "d3", ["host_scan"],
         80, 76, "handled", "Tried 41 addresses in 3 minutes."),
        (211, "Kids' tablet talked to a language model", "surveillance", 0.4, "informational", "d4", ["llm_api"],
         1160, 1120, "noted", "38 minutes at night, 210 KB sent."),
    ]  # fmt: skip
    for (
        key,
        title,
        verdict,
        confidence,
        level,
        device,
        classes,
        first,
        last,
        status,
        summary,
    ) in rows:
        insert(
            tx, "incident", id=key, key=f"k{key}", title=title, verdict=verdict,
            confidence=confidence, level=level, device_id=device, devices=[device],
            classes=classes, first_seen=minutes(first) + shift, last_seen=minutes(last) + shift,
            status=status, summary=summary, explanation=summary, expert="Mean gap 60.0 s.",
            facts=json.dumps(FACTS if key == 214 else []), claims=json.dumps(CLAIMS if key == 214 else []),
            score=json.dumps([{"what": "calls at an even interval", "weight": 3}]), packet_hash="h", state_hash="h",
            written_by="template", created_at=minutes(first) + shift, updated_at=minutes(last) + shift,
        )  # fmt: skip
        insert(
            tx, "finding", id=f"f{key}", **{"class": classes[0]}, level=level, detector="test",
            title=title, key=str(key), device_id=device,
            src_ip={d[0]: d[4] for d in DEVICES}[device],
            peers=[SERVER], first_seen=minutes(first) + shift, last_seen=minutes(last) + shift,
            count=147, facts=json.dumps({"interval_s": 60.0, "jitter": 0.018} if key == 214 else {}),
            evidence=ids["beacon"] if key == 214 else ids["acr"][:141] if key == 213 else [],
            tags=[], updated_at=minutes(last) + shift, incident_id=key,
        )  # fmt: skip


def _responses(tx: Any, shift: timedelta) -> None:
    target = {"names": ["c2.example"], "addresses": [], "subdomains": True, "device_id": "d1",
              "device_ips": ["192.168.30.14"]}  # fmt: skip
    rows = [
        (1, 214, "dns_block", "Block it for this laptop, 24 h",
         "Only this server, only this laptop. In the last week nothing else used it.", "proposed"),
        (2, 213, "dns_block", "Block for this TV, tonight",
         "3 names, this TV only. Apps and updates use other names. It ends by itself.", "proposed"),
        (3, 212, "dns_block", "Keep the camera off the LAN, 1 h", "Its pictures stop for an hour.",
         "approved"),
    ]  # fmt: skip
    for key, incident, action, title, consequence, status in rows:
        insert(
            tx, "proposal", id=key, incident_id=incident, key=f"p{key}", action=action,
            title=title, consequence=consequence, target=target, duration_s=86400,
            responder="dnsmasq-hosts", forecast={}, status=status, created_at=minutes(20) + shift,
            updated_at=minutes(20) + shift,
        )  # fmt: skip
    insert(
        tx, "decision", proposal_id=3, verb="approve", actor="Anna", channel="page",
        decided_at=minutes(75) + shift, carried_out=True,
    )  # fmt: skip
    insert(
        tx, "enforcement", id=1, proposal_id=3, responder="dnsmasq-hosts", target=target,
        state="verified", asked_at=minutes(75) + shift, applied_at=minutes(75) + shift,
        verified_at=minutes(74) + shift, ends_at=minutes(-15) + shift,
        proof={"summary": "the resolver 127.0.0.1 answers c2.example A 0.0.0.0"},
    )  # fmt: skip
    for state, ago in (("asked", 75), ("applied", 75), ("verified", 74)):
        insert(tx, "enforcement_step", enforcement_id=1, step_at=minutes(ago) + shift, state=state)
