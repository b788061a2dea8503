"""DNS-to-flow reconciliation: which flows the home's own resolver explains.

A flow out of the house is explained when a resolver at home had given the device the
address before (seen on the wire, or in the resolver's log). What is not explained is a
literal address, or a name asked for elsewhere: DNS over HTTPS, a VPN. Each flow is
judged once, a little after it was stored, since a resolver's log may come late. The
kinds of explanation are listed in the schema (``coverage_hour``). A house whose
resolver was never seen gets no judgement at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from guardian.store.connection import Reader, Transaction

SLACK_S = 2
"""Seconds that a flow may begin before the answer that explains it: clocks and log lines."""

KEEP_DAYS = 35
"""Days that answers and unexplained flows are kept: a month, and a few days to look back."""

KEEP_ROWS = 20_000
"""Rows of destinations, and of unexplained flows, kept for one device: a file-sharing client
meets hundreds of thousands of addresses."""

UNEXPLAINED_KEPT = 10
"""Destinations shown for each device, those with most flows first."""

EXPLAINED = ("answer", "cached", "name", "house", "own")
"""The kinds of explanation that rest on the home's resolver."""


def note_answers(tx: Transaction, low: int, high: int) -> None:
    """Keep what the rows with ``low < id <= high`` say of who was told which address."""
    span = {"low": low, "high": high}
    tx.execute(_ANSWERS, span)
    tx.execute(_TOLD)
    tx.execute("DROP TABLE fresh_answer")
    tx.execute(_ASKED, span)
    tx.execute(_DNS, span)
    tx.execute(_WEAK, span)


def judge(
    tx: Transaction, low: int, high: int, *, first_day_s: int, fixed: Callable[[str], str | None]
) -> int:
    """Judge the flows with ``low < id <= high``; return how many went out of the house.

    ``first_day_s``: a flow that began so soon after Guardian first saw the home's resolver,
    or the device, may rest on an answer from before. ``fixed`` says whose published fixed
    address an address is.
    """
    tx.execute(_OUT, {"low": low, "high": high})
    flows = int(tx.value("SELECT count(*) FROM out_flow"))
    since = tx.value("SELECT min(first_asked) FROM device_dns")
    if flows:
        tx.execute(_DESTINATIONS)
    if flows and since is not None:
        first = tx.value("SELECT min(ts) FROM out_flow")
        tx.execute(_JUDGED, {"slack": SLACK_S, "day": first_day_s, "since": since, "first": first})
        _literal(tx, fixed)
        tx.execute(
            "INSERT INTO coverage_hour SELECT time_bucket(INTERVAL 1 HOUR, ts), device_id, how, "
            "count(*), sum(up) FROM judged GROUP BY ALL ON CONFLICT (bucket, device_id, how) "
            "DO UPDATE SET flows = flows + excluded.flows, bytes_up = bytes_up + excluded.bytes_up"
        )
        tx.execute(_KEEP_UNEXPLAINED, {"explained": list(EXPLAINED)})
        tx.execute("DROP TABLE judged")
    tx.execute("DROP TABLE out_flow")
    return flows


def tidy(tx: Transaction, newest: datetime) -> None:
    """Forget what is older than ``KEEP_DAYS``, or too much for one device."""
    for table, column in (
        ("device_told", "last_ts"),
        ("device_asked", "last_ts"),
        ("address_weak_name", "last_seen"),
        ("unexplained_hour", "last_seen"),
        ("device_destination", "last_seen"),
    ):
        tx.execute(f"DELETE FROM {table} WHERE {column} < ? - to_days({KEEP_DAYS})", [newest])
    for table in ("unexplained_hour", "device_destination", "device_told"):
        order = "last_ts" if table == "device_told" else "last_seen"
        tx.execute(
            f"DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} QUALIFY row_number() "
            f"OVER (PARTITION BY device_id ORDER BY {order} DESC, rowid DESC) > {KEEP_ROWS})"
        )


def _literal(tx: Transaction, fixed: Callable[[str], str | None]) -> None:
    """Say of what nothing explains whether its address is published as fixed."""
    rows = tx.rows("SELECT DISTINCT dest_ip FROM judged WHERE how IN ('early', 'unknown')")
    known = [(row["dest_ip"], what) for row in rows if (what := fixed(row["dest_ip"]))]
    frame = pl.DataFrame(known, schema={"ip": pl.String, "what": pl.String}, orient="row")
    with tx.registered("fixed_address", frame):
        tx.execute(
            "UPDATE judged SET how = 'literal', detail = what FROM fixed_address "
            "WHERE ip = dest_ip AND how IN ('early', 'unknown')"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Somewhere a device went without having asked at home.

    ``name`` is as the network showed it, ``source`` where it was shown; ``how`` and
    ``detail`` say what is known of the reason.
    """

    ip: str
    name: str | None
    source: str | None
    how: str
    detail: str | None
    flows: int
    bytes_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of what a device sent out the home's resolver explains.

    ``how`` counts the flows by kind of explanation. Flows of the kind ``early`` count on
    neither side; ``share`` is None where nothing else was sent, so nothing can be said.
    ``unexplained`` lists them too.
    """

    device_id: str
    name: str
    flows: int
    explained: int
    share: float | None
    asked: bool
    bytes_up_unexplained: int
    how: dict[str, int]
    unexplained: tuple[Destination, ...]


def coverage(
    reader: Reader,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    device_id: str | None = None,
) -> list[Coverage]:
    """Return the coverage of each device with flows out of the house, the least covered first.

    Time servers (port 123) and questions in the clear (port 53) are left out: the first are
    handed out by DHCP, the second are judged by themselves.
    """
    span = {"since": since, "until": until, "device": device_id}
    by_device: dict[str, dict[str, tuple[int, int]]] = {}
    for row in reader.rows(_COVERAGE, span):
        by_device.setdefault(row["device_id"], {})[row["how"]] = (row["flows"], row["bytes_up"])
    where: dict[str, list[Destination]] = {}
    for row in reader.rows(_WHERE, {**span, "most": UNEXPLAINED_KEPT}):
        where.setdefault(row.pop("device_id"), []).append(Destination(**row))
    asked = {
        row["root"]
        for row in reader.rows(
            "SELECT DISTINCT root FROM device_dns JOIN v_device_root USING (device_id) "
            "WHERE first_asked IS NOT NULL"
        )
    }
    names = {
        row["device_id"]: row["name"] for row in reader.rows("SELECT device_id, name FROM device")
    }
    found = [
        _coverage(device, names.get(device, device), kinds, device in asked, where.get(device, ()))
        for device, kinds in by_device.items()
    ]
    return sorted(found, key=lambda each: (each.share is None, each.share or 0.0, each.name))


def _coverage(
    device: str,
    name: str,
    kinds: dict[str, tuple[int, int]],
    asked: bool,
    unexplained: list[Destination] | tuple[()],
) -> Coverage:
    explained = sum(flows for how, (flows, _) in kinds.items() if how in EXPLAINED)
    judged = sum(flows for how, (flows, _) in kinds.items() if how != "early")
    return Coverage(
        device_id=device,
        name=name,
        flows=sum(flows for flows, _ in kinds.values()),
        explained=explained,
        share=explained / judged if judged else None,
        asked=asked,
        bytes_up_unexplained=sum(
            up for how, (_, up) in kinds.items() if how not in (*EXPLAINED, "early")
        ),
        how={how: flows for how, (flows, _) in sorted(kinds.items())},
        unexplained=tuple(unexplained),
    )


def timeline(
    reader: Reader, device_id: str, *, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    """Return the hours of a device: bucket, explained, unexplained and early flows."""
    return reader.rows(
        "SELECT bucket, coalesce(sum(flows) FILTER (explained), 0)::BIGINT AS explained, "
        "coalesce(sum(flows) FILTER (NOT explained AND how <> 'early'), 0)::BIGINT AS unexplained, "
        "coalesce(sum(flows) FILTER (how = 'early'), 0)::BIGINT AS early FROM v_coverage "
        "WHERE device_id = ? AND bucket >= ? AND bucket < ? GROUP BY bucket ORDER BY bucket",
        [device_id, since, until],
    )


_HELD = "JOIN v_device_holder h ON h.ip = {ip} AND h.valid_from <= {ts} AND {ts} < h.valid_to"

_ANSWERS = f"""
CREATE OR REPLACE TEMP TABLE fresh_answer AS
SELECT h.device_id, t.ip, t.ts::DATE AS day, t.said_by, arg_max(t.name, (t.ts, t.name)) AS name,
       min(t.ts) AS first_ts, max(t.ts) AS last_ts, max(t.ttl) AS ttl_s
FROM (
    SELECT src_ip, unnest(answers) AS ip, lower(rrname) AS name, d.ts, ttl,
           CASE WHEN i.home THEN 'home' ELSE 'outside' END AS said_by
    FROM dns d JOIN address_info i ON i.ip = d.dest_ip
    WHERE d.id > $low AND d.id <= $high AND type = 'answer' AND rrtype IN ('A', 'AAAA', 'HTTPS')
    UNION ALL
    SELECT src_ip, unnest(answers), lower(rrname), ts, NULL, 'home' FROM dns_log
    WHERE id > $low AND id <= $high
) t {_HELD.format(ip="t.src_ip", ts="t.ts")}
WHERE regexp_full_match(t.ip, '[0-9]+[.][0-9.]+|[0-9a-f:]*:[0-9a-f:.]*')
  AND t.ip NOT IN ('0.0.0.0', '::', '127.0.0.1', '::1') AND t.name IS NOT NULL
GROUP BY ALL
"""
_TOLD = """
INSERT INTO device_told SELECT device_id, ip, day, said_by, name, first_ts, last_ts, ttl_s
FROM fresh_answer
ON CONFLICT (device_id, ip, day, said_by) DO UPDATE SET
    name = CASE WHEN excluded.last_ts >= last_ts THEN excluded.name ELSE name END,
    first_ts = least(first_ts, excluded.first_ts), last_ts = greatest(last_ts, excluded.last_ts),
    ttl_s = greatest(ttl_s, excluded.ttl_s)
"""
_ASKED = f"""
INSERT INTO device_asked
SELECT h.device_id, n.registrable, min(q.ts), max(q.ts)
FROM (
    SELECT src_ip, lower(rrname) AS name, d.ts FROM dns d JOIN address_info i ON i.ip = d.dest_ip
    WHERE d.id > $low AND d.id <= $high AND i.home
    UNION ALL
    SELECT src_ip, lower(rrname), ts FROM dns_log
    WHERE id > $low AND id <= $high AND NOT coalesce(blocked, false)
) q JOIN name_info n ON n.name = q.name {_HELD.format(ip="q.src_ip", ts="q.ts")}
WHERE n.registrable IS NOT NULL GROUP BY ALL
ON CONFLICT (device_id, registrable) DO UPDATE SET
    first_ts = least(first_ts, excluded.first_ts), last_ts = greatest(last_ts, excluded.last_ts)
"""
# Encrypted DNS by its ports, or by a name that the catalogue lists.
_DNS = f"""
INSERT INTO device_dns
SELECT h.device_id, min(ts) FILTER (NOT encrypted), max(ts) FILTER (NOT encrypted),
       min(ts) FILTER (encrypted), max(ts) FILTER (encrypted)
FROM (
    SELECT src_ip, d.ts, false AS encrypted FROM dns d JOIN address_info i ON i.ip = d.dest_ip
    WHERE d.id > $low AND d.id <= $high AND i.home AND d.src_ip <> d.dest_ip
    UNION ALL
    SELECT src_ip, ts, false FROM dns_log WHERE id > $low AND id <= $high
    UNION ALL
    SELECT src_ip, f.ts, true FROM flow f JOIN address_info i ON i.ip = f.dest_ip
    WHERE f.id > $low AND f.id <= $high AND dest_port = 853 AND NOT i.home AND pkts_toclient > 0
    UNION ALL
    SELECT src_ip, ts, true FROM tls JOIN name_hit n ON n.name = lower(sni)
    WHERE id > $low AND id <= $high AND n.class = 'doh_bypass'
    UNION ALL
    SELECT src_ip, ts, true FROM quic JOIN name_hit n ON n.name = lower(sni)
    WHERE id > $low AND id <= $high AND n.class = 'doh_bypass'
) q {_HELD.format(ip="q.src_ip", ts="q.ts")}
GROUP BY h.device_id
ON CONFLICT (device_id) DO UPDATE SET
    first_asked = least(first_asked, excluded.first_asked),
    last_asked = greatest(last_asked, excluded.last_asked),
    first_encrypted = least(first_encrypted, excluded.first_encrypted),
    last_encrypted = greatest(last_encrypted, excluded.last_encrypted)
"""
# Reverse names only as they were seen on the wire: nothing is looked up.
_WEAK = r"""
INSERT INTO address_weak_name
SELECT ip, name, kind, min(ts), max(ts) FROM (
    SELECT dest_ip AS ip, 'certificate' AS kind, ts,
           lower(coalesce(subjectaltname[1], regexp_extract(subject, 'CN ?= ?([^,/]+)', 1))) AS name
    FROM tls WHERE id > $low AND id <= $high AND sni IS NULL
      AND (len(subjectaltname) > 0 OR subject IS NOT NULL)
    UNION ALL
    SELECT array_to_string(list_reverse(string_split(
               regexp_extract(lower(rrname), '^([0-9.]+)\.in-addr\.arpa', 1), '.')), '.'),
           'reverse_dns', ts, lower(rtrim(answers[1], '.'))
    FROM (SELECT rrname, answers, ts, rrtype FROM dns
          WHERE id > $low AND id <= $high AND type = 'answer'
          UNION ALL SELECT rrname, answers, ts, rrtype FROM dns_log
          WHERE id > $low AND id <= $high)
    WHERE rrtype = 'PTR' AND len(answers) > 0
)
WHERE regexp_full_match(name, '(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)+') AND length(name) <= 253
  AND regexp_full_match(ip, '[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+|[0-9a-f:.]*:[0-9a-f:.]*')
GROUP BY ip, name, kind
ON CONFLICT (ip, name, kind) DO UPDATE SET
    first_seen = least(first_seen, excluded.first_seen),
    last_seen = greatest(last_seen, excluded.last_seen)
"""
_OUT = f"""
CREATE OR REPLACE TEMP TABLE out_flow AS
SELECT f.id, f.ts, h.device_id, r.root, f.src_ip, f.dest_ip, f.dest_port, f.proto, f.app_proto,
       f.flow_id, f.opened OR f.proto <> 'TCP' AS whole,
       coalesce(f.bytes_toserver, 0) AS up, coalesce(f.bytes_toclient, 0) AS down
FROM v_flow f {_HELD.format(ip="f.src_ip", ts="f.ts")}
JOIN v_device_root r ON r.device_id = h.device_id
WHERE f.id > $low AND f.id <= $high AND f.direction = 'outbound' AND f.proto IN ('TCP', 'UDP')
  AND f.dest_port NOT IN (53, 123)
"""
_DESTINATIONS = """
INSERT INTO device_destination
SELECT device_id, dest_ip, min(ts), max(ts), count(*), sum(up), sum(down) FROM out_flow GROUP BY ALL
ON CONFLICT (device_id, ip) DO UPDATE SET
    first_seen = least(first_seen, excluded.first_seen),
    last_seen = greatest(last_seen, excluded.last_seen), flows = flows + excluded.flows,
    bytes_up = bytes_up + excluded.bytes_up, bytes_down = bytes_down + excluded.bytes_down
"""
_JUDGED = """
CREATE OR REPLACE TEMP TABLE judged AS
WITH told AS (
    SELECT r.root, ip, said_by, first_ts, last_ts, ttl_s
    FROM device_told JOIN v_device_root r USING (device_id)
    WHERE ip IN (SELECT dest_ip FROM out_flow)
),
span AS (
    SELECT root, ip, first_ts, max(last_ts) AS last_ts, max(ttl_s) AS ttl_s
    FROM told WHERE said_by = 'home' GROUP BY ALL
),
first_told AS (
    SELECT root, ip, min(first_ts) AS ts FROM told WHERE said_by = 'outside' GROUP BY ALL
),
house AS (SELECT ip, min(first_ts) AS ts FROM told WHERE said_by = 'home' GROUP BY ip),
shown AS (
    SELECT flow_id, any_value(registrable) AS registrable FROM (
        SELECT flow_id, lower(sni) AS name FROM tls WHERE ts >= $first AND sni IS NOT NULL
        UNION ALL
        SELECT flow_id, lower(sni) FROM quic WHERE ts >= $first AND sni IS NOT NULL
        UNION ALL
        SELECT flow_id, lower(hostname) FROM http WHERE ts >= $first AND hostname IS NOT NULL
    ) JOIN name_info USING (name)
    WHERE registrable IS NOT NULL AND flow_id IN (SELECT flow_id FROM out_flow)
    GROUP BY flow_id
),
asked AS (
    SELECT r.root, registrable, min(first_ts) AS ts
    FROM device_asked JOIN v_device_root r USING (device_id) GROUP BY ALL
),
asking AS (
    SELECT r.root, min(first_asked) AS first_asked, min(first_encrypted) AS first_encrypted,
           max(last_encrypted) AS last_encrypted
    FROM device_dns JOIN v_device_root r USING (device_id) GROUP BY ALL
),
seen AS (
    SELECT r.root, min(first_seen) AS first_seen, bool_or(h.device_id IS NOT NULL) AS serves
    FROM device d JOIN v_device_root r USING (device_id)
    LEFT JOIN (SELECT DISTINCT device_id FROM device_hint WHERE source IN ('resolver', 'router')) h
        USING (device_id)
    GROUP BY ALL
),
matched AS (
    SELECT f.*, s.first_ts, s.last_ts, s.ttl_s
    FROM out_flow f ASOF LEFT JOIN span s
        ON s.root = f.root AND s.ip = f.dest_ip AND f.ts + to_seconds($slack) >= s.first_ts
)
SELECT m.id, m.ts, m.device_id, m.src_ip, m.dest_ip, m.dest_port, m.proto, m.app_proto, m.up,
       NULL::VARCHAR AS detail,
       CASE WHEN m.first_ts IS NOT NULL
                 AND m.ts <= m.last_ts + to_seconds(coalesce(m.ttl_s, 86400) + $slack) THEN 'answer'
            WHEN m.first_ts IS NOT NULL THEN 'cached'
            WHEN a.ts <= m.ts + to_seconds($slack) THEN 'name'
            WHEN e.serves THEN 'own'
            WHEN h.ts <= m.ts + to_seconds($slack) THEN 'house'
            WHEN o.ts <= m.ts + to_seconds($slack) THEN 'outside'
            WHEN q.first_encrypted <= m.ts + to_seconds($slack)
                 AND m.ts <= q.last_encrypted + INTERVAL 1 HOUR THEN 'encrypted'
            WHEN NOT m.whole OR m.ts < to_seconds($day)
                 + greatest($since::TIMESTAMP, coalesce(q.first_asked, e.first_seen)) THEN 'early'
            ELSE 'unknown' END AS how
FROM matched m
LEFT JOIN house h ON h.ip = m.dest_ip
LEFT JOIN first_told o ON o.root = m.root AND o.ip = m.dest_ip
LEFT JOIN shown n ON n.flow_id = m.flow_id
LEFT JOIN asked a ON a.root = m.root AND a.registrable = n.registrable
LEFT JOIN asking q ON q.root = m.root
LEFT JOIN seen e ON e.root = m.root
"""
_KEEP_UNEXPLAINED = """
INSERT INTO unexplained_hour
SELECT time_bucket(INTERVAL 1 HOUR, ts), device_id, how, src_ip, dest_ip, coalesce(dest_port, 0),
       proto, coalesce(app_proto, ''), any_value(detail), count(*), sum(up), min(ts), max(ts),
       min(id, 5)
FROM judged WHERE NOT list_contains($explained, how) GROUP BY ALL
ON CONFLICT DO UPDATE SET flows = flows + excluded.flows, bytes_up = bytes_up + excluded.bytes_up,
    first_seen = least(first_seen, excluded.first_seen),
    last_seen = greatest(last_seen, excluded.last_seen),
    samples = list_distinct(samples || excluded.samples)[:5]
"""
_WITHIN = "({c} >= $since OR $since IS NULL) AND ({c} < $until OR $until IS NULL)"
_COVERAGE = f"""
SELECT device_id, how, sum(flows)::BIGINT AS flows, sum(bytes_up)::BIGINT AS bytes_up
FROM v_coverage
WHERE {_WITHIN.format(c="bucket")} AND ($device IS NULL OR device_id = $device)
GROUP BY ALL ORDER BY device_id, how
"""
_WHERE = f"""
SELECT device_id, dest_ip AS ip, any_value(name) AS name, any_value(name_source) AS source,
       arg_max(how, flows) AS how, any_value(detail) AS detail, sum(flows)::BIGINT AS flows,
       sum(bytes_up)::BIGINT AS bytes_up
FROM (
    SELECT r.root AS device_id, u.* EXCLUDE (device_id), n.name, n.source AS name_source
    FROM unexplained_hour u JOIN v_device_root r USING (device_id)
    LEFT JOIN v_house_name n ON n.ip = u.dest_ip
    WHERE ($device IS NULL OR r.root = $device)
)
WHERE {_WITHIN.format(c="last_seen")}
GROUP BY device_id, dest_ip
QUALIFY row_number() OVER (PARTITION BY device_id ORDER BY sum(flows) DESC, dest_ip) <= $most
ORDER BY device_id, flows DESC, ip
"""
