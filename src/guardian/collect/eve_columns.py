"""Where the fields of an EVE event go: one table of the store for each event type.

DuckDB decodes the lines of one type with a structure that names only what is stored
into that table's columns; Python never holds an event. Field names are those of
Suricata's documentation (docs.suricata.io, "EVE JSON Format"), versions 4 to 8.
"""

from __future__ import annotations

from typing import Any

TEXT, BIG, INT, PORT, BOOL = "VARCHAR", "BIGINT", "INTEGER", "USMALLINT", "BOOLEAN"

Spec = dict[str, Any]

COMMON: Spec = {
    "timestamp": TEXT,
    "event_type": TEXT,
    "flow_id": BIG,
    "community_id": TEXT,
    "src_ip": TEXT,
    "src_port": PORT,
    "dest_ip": TEXT,
    "dest_port": PORT,
    "proto": TEXT,
    "app_proto": TEXT,
    "vlan": ["USMALLINT"],
    "ether": {"src_mac": TEXT, "dest_mac": TEXT, "src_macs": [TEXT], "dest_macs": [TEXT]},
}
_HASH: Spec = {"hash": TEXT}
_DNS: Spec = {
    "version": INT,
    "type": TEXT,
    "id": BIG,
    "tx_id": BIG,
    "rrname": TEXT,
    "rrtype": TEXT,
    "rcode": TEXT,
    "rdata": TEXT,
    "ttl": BIG,
    "answers": [{"rrtype": TEXT, "ttl": BIG, "rdata": TEXT}],
    "queries": [{"rrname": TEXT, "rrtype": TEXT}],
    "query": [{"rrname": TEXT, "rrtype": TEXT}],
}
_GROUPED = ("CNAME", "A", "AAAA", "TXT")
"""What of an answer that is only logged by type (``formats: [grouped]``) is kept, in order."""
_FIELDS: dict[str, Spec] = {
    "flow": {
        "icmp_type": "UTINYINT",
        "icmp_code": "UTINYINT",
        "parent_id": BIG,
        "flow": {
            "pkts_toserver": BIG,
            "pkts_toclient": BIG,
            "bytes_toserver": BIG,
            "bytes_toclient": BIG,
            "start": TEXT,
            "end": TEXT,
            "state": TEXT,
            "reason": TEXT,
            "alerted": BOOL,
        },
        "tcp": {"tcp_flags_ts": TEXT, "tcp_flags_tc": TEXT},
    },
    "dns": {"dns": {**_DNS, "grouped": {kind: [TEXT] for kind in _GROUPED}}},
    "tls": {
        "tls": {
            "sni": TEXT,
            "version": TEXT,
            "subject": TEXT,
            "issuerdn": TEXT,
            "serial": TEXT,
            "fingerprint": TEXT,
            "notbefore": TEXT,
            "notafter": TEXT,
            "ja3": _HASH,
            "ja3s": _HASH,
            "ja4": TEXT,
            "session_resumed": BOOL,
            "subjectaltname": [TEXT],
        }
    },
    "http": {
        "http": {
            "hostname": TEXT,
            "http_port": PORT,
            "url": TEXT,
            "http_user_agent": TEXT,
            "http_method": TEXT,
            "http_refer": TEXT,
            "http_content_type": TEXT,
            "status": INT,
            "length": BIG,
            "protocol": TEXT,
        }
    },
    "quic": {
        "quic": {
            "sni": TEXT,
            "version": TEXT,
            "ja3": _HASH,
            "ja3s": _HASH,
            "ja4": TEXT,
            "ua": TEXT,
        }
    },
    "fileinfo": {
        "fileinfo": {
            "filename": TEXT,
            "magic": TEXT,
            "state": TEXT,
            "size": BIG,
            "gaps": BOOL,
            "md5": TEXT,
            "sha1": TEXT,
            "sha256": TEXT,
        },
        "http": {
            "hostname": TEXT,
            "url": TEXT,
            "http_content_type": TEXT,
            "http_user_agent": TEXT,
            "status": INT,
        },
    },
    "alert": {
        "direction": TEXT,
        "payload_printable": TEXT,
        "alert": {
            "action": TEXT,
            "gid": BIG,
            "signature_id": BIG,
            "rev": BIG,
            "signature": TEXT,
            "category": TEXT,
            "severity": INT,
            "metadata": "JSON",
        },
        "flow": {"src_ip": TEXT, "dest_ip": TEXT},
        "http": {"hostname": TEXT, "url": TEXT, "http_user_agent": TEXT},
        "tls": {"sni": TEXT},
        "quic": {"sni": TEXT},
        "dns": _DNS,
    },
    "anomaly": {"anomaly": {"type": TEXT, "event": TEXT, "layer": TEXT, "app_proto": TEXT}},
    "dhcp": {
        "dhcp": {
            "type": TEXT,
            "dhcp_type": TEXT,
            "id": BIG,
            "client_mac": TEXT,
            "assigned_ip": TEXT,
            "client_ip": TEXT,
            "requested_ip": TEXT,
            "hostname": TEXT,
            "lease_time": BIG,
            "client_id": TEXT,
            "vendor_class_identifier": TEXT,
            "params": [TEXT],
            "routers": [TEXT],
            "dns_servers": [TEXT],
            "next_server_ip": TEXT,
            "relay_ip": TEXT,
        }
    },
}

TYPED = frozenset(_FIELDS)
"""Event types with a table of their own name; every other is kept whole in ``raw_event``."""

RAW = "raw_event"
KINDS = (*sorted(TYPED), RAW)
"""Tables by the number that stands for each while lines are sorted out."""


# A password that crosses the wire in the clear is a finding; it is not for the store. This is
# for headers and commands in the midst of a payload; ``SECRETS`` does the rest.
_PAYLOAD = r"""regexp_replace(
    left(j.payload_printable, 4096),
    '(?i)(authorization:|cookie:|pass |password=|passwd=|pwd=)[^\r\n&]*', '\1 (hidden)', 'g')"""


def time(text: str) -> str:
    """Return SQL for an EVE time (six decimals, any offset or none) as UTC; NULL if it is none."""
    zone = f"replace(substr({text}, 27), ':', '')"
    sign = f"CASE {zone}[1] WHEN '-' THEN -1 ELSE 1 END"
    minutes = f"60 * try_cast({zone}[2:3] AS INTEGER) + try_cast({zone}[4:5] AS INTEGER)"
    return (
        # DuckDB's cast reads an offset but does not apply it: right for +0000 and for none.
        f"CASE WHEN ends_with({text}, '+0000') OR strlen({text}) = 26 "
        f"THEN try_cast({text} AS TIMESTAMP) "
        f"ELSE try_cast(left({text}, 26) AS TIMESTAMP) - to_minutes({sign} * ({minutes})) END"
    )


def _macs(side: str) -> str:
    return _mac(f"coalesce(j.ether.{side}_mac, j.ether.{side}_macs[1])")


def _mac(text: str) -> str:
    return f"lower(replace({text}, '-', ':'))"


_ENDS = {
    "flow_id": "j.flow_id",
    "community_id": "j.community_id",
    "src_ip": "j.src_ip",
    "src_port": "j.src_port",
    "dest_ip": "j.dest_ip",
    "dest_port": "j.dest_port",
    "proto": "j.proto",
}
_LINK = {"src_mac": _macs("src"), "dest_mac": _macs("dest"), "vlan": "j.vlan"}
_TS = {"ts": "seen"}

# In DNS v3 (Suricata 8) an answer's source is the responder; before, it was the client in most
# releases, and the responder in some.
_SWAPPED = (
    "(j.dns.type = 'response' AND coalesce(j.dns.version, 3) >= 3 "
    "OR j.dns.type = 'answer' AND j.src_port = 53 AND j.dest_port <> 53)"
)


def _client(own: str, other: str) -> str:
    return f"CASE WHEN {_SWAPPED} THEN {other} ELSE {own} END"


def _grouped(what: str) -> str:
    """Return SQL for the answers of each type one after the other, or for their types."""
    lists = [f"coalesce(j.dns.grouped.{kind}, []::VARCHAR[])" for kind in _GROUPED]
    if what == "kind":
        lists = [
            f"list_transform({one}, lambda a: '{kind}')"
            for one, kind in zip(lists, _GROUPED, strict=True)
        ]
    return f"flatten([{', '.join(lists)}])"


_QUERY_NAME = "coalesce(j.dns.rrname, j.dns.queries[1].rrname, j.dns.query[1].rrname)"

_SELECTS: dict[str, dict[str, str]] = {
    "flow": {
        "ts": f"coalesce({time('j.flow.start')}, seen)",
        "end_ts": f"coalesce({time('j.flow.end')}, seen)",
        **_ENDS,
        "app_proto": "j.app_proto",
        **{
            name: f"j.flow.{name}"
            for name in (
                "bytes_toserver", "bytes_toclient", "pkts_toserver", "pkts_toclient",
                "state", "reason", "alerted",
            )
        },
        "tcp_flags_ts": "try_cast('0x' || j.tcp.tcp_flags_ts AS UTINYINT)",
        "tcp_flags_tc": "try_cast('0x' || j.tcp.tcp_flags_tc AS UTINYINT)",
        "icmp_type": "j.icmp_type",
        "icmp_code": "j.icmp_code",
        **_LINK,
        "parent_id": "j.parent_id",
    },
    "dns": {
        **_TS,
        **_ENDS,
        "src_ip": _client(_ENDS["src_ip"], _ENDS["dest_ip"]),
        "src_port": _client("j.src_port", "j.dest_port"),
        "dest_ip": _client(_ENDS["dest_ip"], _ENDS["src_ip"]),
        "dest_port": _client("j.dest_port", "j.src_port"),
        "type": "CASE WHEN j.dns.type IN ('answer', 'response') THEN 'answer' ELSE 'query' END",
        "tx_id": "coalesce(j.dns.tx_id, j.dns.id)",
        "rrname": _QUERY_NAME,
        "rrtype": "coalesce(j.dns.rrtype, j.dns.queries[1].rrtype, j.dns.query[1].rrtype)",
        "rcode": "j.dns.rcode",
        # Version 1 wrote an event for each answer, with its data beside the name.
        "answers": "CASE WHEN j.dns.answers IS NOT NULL "
        "THEN list_transform(j.dns.answers, lambda a: a.rdata) "
        "WHEN j.dns.rdata IS NOT NULL THEN [j.dns.rdata] "
        f"WHEN j.dns.grouped IS NOT NULL THEN {_grouped('each')} END",
        "answer_types": "CASE WHEN j.dns.answers IS NOT NULL "
        "THEN list_transform(j.dns.answers, lambda a: a.rrtype) "
        "WHEN j.dns.rdata IS NOT NULL THEN [j.dns.rrtype] "
        f"WHEN j.dns.grouped IS NOT NULL THEN {_grouped('kind')} END",
        "ttl": "coalesce(list_min(list_transform(j.dns.answers, lambda a: a.ttl)), j.dns.ttl)",
        "src_mac": _client(_macs("src"), _macs("dest")),
        "dest_mac": _client(_macs("dest"), _macs("src")),
        "vlan": "j.vlan",
    },
    "tls": {
        **_TS,
        **_ENDS,
        **{
            name: f"j.tls.{name}"
            for name in (
                "sni", "version", "subject", "issuerdn", "serial", "fingerprint", "ja4",
                "session_resumed", "subjectaltname",
            )
        },
        "notbefore": "try_cast(j.tls.notbefore AS TIMESTAMP)",
        "notafter": "try_cast(j.tls.notafter AS TIMESTAMP)",
        "ja3": "j.tls.ja3.hash",
        "ja3s": "j.tls.ja3s.hash",
        **_LINK,
    },
    "http": {
        **_TS,
        **_ENDS,
        **{name: f"j.http.{name}" for name in _FIELDS["http"]["http"]},
        **_LINK,
    },
    "quic": {
        **_TS,
        **_ENDS,
        **{name: f"j.quic.{name}" for name in ("sni", "version", "ja4", "ua")},
        "ja3": "j.quic.ja3.hash",
        "ja3s": "j.quic.ja3s.hash",
        **_LINK,
    },
    "fileinfo": {
        **_TS,
        **_ENDS,
        "app_proto": "j.app_proto",
        **{name: f"j.fileinfo.{name}" for name in _FIELDS["fileinfo"]["fileinfo"]},
        **{name: f"j.http.{name}" for name in _FIELDS["fileinfo"]["http"]},
    },
    "alert": {
        **_TS,
        **_ENDS,
        "app_proto": "j.app_proto",
        "direction": "j.direction",
        **{name: f"j.alert.{name}" for name in _FIELDS["alert"]["alert"]},
        "client_ip": "j.flow.src_ip",
        "server_ip": "j.flow.dest_ip",
        "hostname": "j.http.hostname",
        "url": "j.http.url",
        "http_user_agent": "j.http.http_user_agent",
        "sni": "coalesce(j.tls.sni, j.quic.sni)",
        "rrname": _QUERY_NAME,
        "payload_printable": _PAYLOAD,
        **_LINK,
    },
    "anomaly": {
        **_TS,
        **_ENDS,
        "type": "j.anomaly.type",
        "event": "j.anomaly.event",
        "layer": "j.anomaly.layer",
        "app_proto": "coalesce(j.anomaly.app_proto, j.app_proto)",
    },
    "dhcp": {
        **_TS,
        **{name: _ENDS[name] for name in ("flow_id", "src_ip", "src_port", "dest_ip", "dest_port")},
        **{
            name: f"j.dhcp.{name}"
            for name in (
                "type", "dhcp_type", "assigned_ip", "client_ip", "requested_ip",
                "hostname", "lease_time", "client_id", "params", "routers", "dns_servers",
                "next_server_ip", "relay_ip",
            )
        },
        "client_mac": _mac("j.dhcp.client_mac"),
        "dhcp_id": "j.dhcp.id",
        "vendor_class": "j.dhcp.vendor_class_identifier",
        "src_mac": _macs("src"),
        "dest_mac": _macs("dest"),
    },
    "raw_event": {
        **_TS,
        "event_type": "j.event_type",
        **{name: expression for name, expression in _ENDS.items() if name != "community_id"},
        "raw": "line",
    },
}  # fmt: skip


ADDRESSES: dict[str, tuple[str, ...]] = {
    "dns": ("answers",),
    "alert": ("client_ip", "server_ip"),
}
"""Columns besides the two ends of an event that hold addresses (``answers``: among others)."""

SECRETS: dict[str, tuple[str, ...]] = {
    "http": ("url", "http_refer"),
    "fileinfo": ("url", "filename"),
    "alert": ("url", "payload_printable"),
    "raw_event": ("raw",),
}
"""Columns whose text can hold a password or a key to something."""


def selected(table: str) -> dict[str, str]:
    """Return the columns of a table, and the SQL over a decoded event ``j`` of each."""
    return _SELECTS[table]


def structure(table: str) -> Spec:
    """Return the fields that are decoded of the events of one table, as DuckDB types."""
    return {**COMMON, **_FIELDS.get(table, {})}
