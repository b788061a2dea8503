"""Write an EVE log of any length, the same every time: a busy home as Suricata 7 tells it.

The mix of event types and the fields of each follow what Suricata writes with Guardian's
configuration; names and addresses are made up (RFC 2606, RFC 5737, RFC 3849, RFC 1918).
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = datetime(2026, 1, 1)  # noqa: DTZ001 - times in the store and here are naive UTC
MIX = {
    "flow": 46,
    "dns": 26,
    "tls": 10,
    "http": 5,
    "quic": 4,
    "fileinfo": 3,
    "alert": 3,
    "anomaly": 1,
    "dhcp": 1,
    "ssh": 1,
}
"""Share of each type in a hundred events, as in home captures."""

_IPV6_SHARE = 0.25


def write(path: Path, events: int, *, seed: int = 1) -> int:
    """Write a log of so many events; return its size in bytes."""
    chance = random.Random(seed)  # noqa: S311 - the same log every time is the point
    kinds = chance.choices(list(MIX), list(MIX.values()), k=events)
    moment = START
    with path.open("w", encoding="utf-8", buffering=1 << 20) as file:
        for kind in kinds:
            moment += timedelta(microseconds=chance.randrange(1000))
            event = _common(chance, kind, moment)
            _DETAILS[kind](chance, event, moment)
            file.write(json.dumps(event, separators=(",", ":")))
            file.write("\n")
        return file.tell()


def _stamp(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='microseconds')}+0000"


def _common(chance: random.Random, kind: str, moment: datetime) -> dict[str, Any]:
    device = chance.randrange(10, 60)
    udp = kind in ("dns", "quic", "dhcp")
    if chance.random() < _IPV6_SHARE:
        source = f"2001:0db8:0001:0000:0000:00ff:fe00:{device:04x}"
        target = f"2001:0db8:00ff:0000:0000:0000:{chance.randrange(500):04x}:0001"
    else:
        source = f"192.168.1.{device}"
        target = f"198.51.{chance.randrange(100, 104)}.{chance.randrange(1, 255)}"
    return {
        "timestamp": _stamp(moment),
        "flow_id": chance.randrange(1 << 51),
        "event_type": kind,
        "src_ip": source,
        "src_port": chance.randrange(1024, 65536),
        "dest_ip": target,
        "dest_port": {"dns": 53, "tls": 443, "quic": 443, "http": 80, "ssh": 22}.get(kind, 443),
        "proto": "UDP" if udp else "TCP",
        "pkt_src": "wire/pcap",
        "ether": {
            "src_mac": f"02:00:5e:00:53:{device:02x}",
            "dest_mac": "02:00:5e:00:53:01",
        },
        "community_id": f"1:{chance.getrandbits(160):027x}=",
    }


def _name(chance: random.Random) -> str:
    return f"h{chance.randrange(3000)}.service{chance.randrange(200)}.example"


def _flow(chance: random.Random, event: dict[str, Any], moment: datetime) -> None:
    lasted = timedelta(milliseconds=chance.randrange(120_000))
    ether = event["ether"]
    event["ether"] = {"src_macs": [ether["src_mac"]], "dest_macs": [ether["dest_mac"]]}
    event["app_proto"] = chance.choice(["tls", "dns", "http", "failed", "ntp", "quic"])
    event["flow"] = {
        "pkts_toserver": chance.randrange(1, 500),
        "pkts_toclient": chance.randrange(500),
        "bytes_toserver": chance.randrange(60, 500_000),
        "bytes_toclient": chance.randrange(5_000_000),
        "start": _stamp(moment - lasted),
        "end": _stamp(moment),
        "age": lasted.seconds,
        "state": chance.choice(["new", "established", "closed"]),
        "reason": "timeout",
        "alerted": False,
    }
    event["tcp"] = {
        "tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1a",
        "syn": True, "fin": True, "psh": True, "ack": True, "state": "closed",
    }  # fmt: skip


def _dns(chance: random.Random, event: dict[str, Any], _moment: datetime) -> None:
    name = _name(chance)
    number = chance.randrange(65536)
    if chance.random() < 0.5:  # half the messages are questions
        event["dns"] = {
            "version": 2, "type": "query", "id": number, "rrname": name, "rrtype": "A",
            "tx_id": 0, "opcode": 0,
        }  # fmt: skip
        return
    addresses = [f"203.0.113.{chance.randrange(1, 255)}" for _ in range(chance.randrange(1, 5))]
    event["dns"] = {
        "version": 2, "type": "answer", "id": number, "flags": "8180", "qr": True, "rd": True,
        "ra": True, "opcode": 0, "rrname": name, "rrtype": "A", "rcode": "NOERROR",
        "answers": [
            {"rrname": name, "rrtype": "A", "ttl": chance.randrange(10, 3600), "rdata": address}
            for address in addresses
        ],
        "grouped": {"A": addresses},
    }  # fmt: skip


def _tls(chance: random.Random, event: dict[str, Any], _moment: datetime) -> None:
    event["tls"] = {
        "subject": f"CN={_name(chance)}",
        "issuerdn": "C=XX, O=Example Trust, CN=Example CA 1",
        "serial": f"{chance.getrandbits(120):030X}",
        "fingerprint": ":".join(f"{chance.getrandbits(8):02x}" for _ in range(20)),
        "sni": _name(chance),
        "version": "TLS 1.2",
        "notbefore": "2025-11-01T00:00:00",
        "notafter": "2026-11-01T00:00:00",
        "ja3": {"hash": f"{chance.randrange(200):032x}", "string": "771,4865-4866-4867,0-23-65281"},
        "ja3s": {"hash": f"{chance.randrange(200):032x}", "string": "771,4865,43-51"},
    }


def _http(chance: random.Random, event: dict[str, Any], _moment: datetime) -> None:
    event["tx_id"] = 0
    event["http"] = {
        "hostname": _name(chance),
        "url": f"/api/v1/items/{chance.randrange(10_000)}?session={chance.getrandbits(64):x}",
        "http_user_agent": "ExampleClient/4.2 (Linux; armv8)",
        "http_content_type": "application/json",
        "http_method": "GET",
        "protocol": "HTTP/1.1",
        "status": 200,
        "length": chance.randrange(100_000),
    }


def _quic(chance: random.Random, event: dict[str, Any], _moment: datetime) -> None:
    event["quic"] = {
        "version": "1",
        "sni": _name(chance),
        "ja3": {"hash": f"{chance.randrange(200):032x}", "string": "771,4865-4866,0-10-13"},
        "extensions": [{"name": "server_name", "type": 0, "values": [_name(chance)]}],
    }


def _fileinfo(chance: random.Random, event: dict[str, Any], moment: datetime) -> None:
    _http(chance, event, moment)
    event["app_proto"] = "http"
    event["fileinfo"] = {
        "filename": event["http"]["url"],
        "gaps": False,
        "state": "CLOSED",
        "sha256": f"{chance.getrandbits(256):064x}",
        "stored": False,
        "size": chance.randrange(1_000_000),
        "tx_id": 0,
    }


def _alert(chance: random.Random, event: dict[str, Any], moment: datetime) -> None:
    event["alert"] = {
        "action": "allowed", "gid": 1, "signature_id": 9_000_000 + chance.randrange(50), "rev": 1,
        "signature": "EXAMPLE a signature of usual length", "category": "Misc activity",
        "severity": 3,
        "metadata": {"created_at": ["2025_01_01"], "signature_severity": ["Minor"]},
    }  # fmt: skip
    event["app_proto"] = "http"
    event["direction"] = "to_server"
    event["flow"] = {
        "pkts_toserver": 4, "pkts_toclient": 3, "bytes_toserver": 500, "bytes_toclient": 400,
        "start": _stamp(moment), "src_ip": event["src_ip"], "dest_ip": event["dest_ip"],
        "src_port": event["src_port"], "dest_port": event["dest_port"],
    }  # fmt: skip


def _anomaly(_chance: random.Random, event: dict[str, Any], _moment: datetime) -> None:
    event["anomaly"] = {
        "type": "applayer",
        "event": "UNABLE_TO_MATCH_RESPONSE_TO_REQUEST",
        "layer": "proto_parser",
        "app_proto": "http",
    }


def _dhcp(chance: random.Random, event: dict[str, Any], _moment: datetime) -> None:
    event["dhcp"] = {
        "type": "reply", "dhcp_type": "ack", "id": chance.getrandbits(32),
        "client_mac": event["ether"]["src_mac"], "assigned_ip": "192.168.1.77",
        "lease_time": 86_400, "hostname": "example-device",
    }  # fmt: skip


def _ssh(_chance: random.Random, event: dict[str, Any], _moment: datetime) -> None:
    event["ssh"] = {
        "client": {"proto_version": "2.0", "software_version": "OpenSSH_9.2"},
        "server": {"proto_version": "2.0", "software_version": "OpenSSH_9.2"},
    }


_DETAILS: dict[str, Callable[[random.Random, dict[str, Any], datetime], None]] = {
    "flow": _flow,
    "dns": _dns,
    "tls": _tls,
    "http": _http,
    "quic": _quic,
    "fileinfo": _fileinfo,
    "alert": _alert,
    "anomaly": _anomaly,
    "dhcp": _dhcp,
    "ssh": _ssh,
}
