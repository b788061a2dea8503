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

from guardian.store import reconcile_sql as sql

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from guardian.store.connection import Reader, Transaction

SLACK_S = 2
"""Seconds that a flow may begin before the answer that explains it: clocks and log lines."""

KEEP_DAYS = 35
"""Days that answers and unexplained flows are kept: a month, and a few days to look back."""

KEEP_ROWS = 20_000
"""Rows of destinations, of unexplained flows and of names asked for, kept for one device: a
file-sharing client meets hundreds of thousands of addresses."""

KEEP_AT_ONCE = 200
"""Unexplained destinations kept for one device, kind and hour of one batch of flows; all are
counted. Who goes to more in an hour scans, or shares files, and that is another detection."""

UNEXPLAINED_KEPT = 10
"""Destinations shown for each device, those with most flows first."""

EXPLAINED = ("answer", "cached", "name", "house", "own")
"""The kinds of explanation that rest on the home's resolver."""


def note_answers(tx: Transaction, low: int, high: int) -> None:
    """Keep what the rows with ``low < id <= high`` say of who was told which address."""
    span = {"low": low, "high": high}
    tx.execute(sql.ANSWERS, span)
    tx.execute(sql.TOLD)
    tx.execute("DROP TABLE fresh_answer")
    tx.execute(sql.ASKED, span)
    tx.execute(sql.DNS, span)
    tx.execute(sql.WEAK, span)


def judge(
    tx: Transaction, low: int, high: int, *, first_day_s: int, fixed: Callable[[str], str | None]
) -> int:
    """Judge the flows with ``low < id <= high``; return how many went out of the house.

    ``first_day_s``: a flow that began so soon after Guardian first saw the home's resolver,
    or the device, may rest on an answer from before. ``fixed`` says whose published fixed
    address an address is.
    """
    tx.execute(sql.OUT, {"low": low, "high": high})
    flows = int(tx.value("SELECT count(*) FROM out_flow"))
    since = tx.value("SELECT min(first_asked) FROM device_dns")
    if flows:
        tx.execute(sql.DESTINATIONS)
    if flows and since is not None:
        first = tx.value("SELECT min(ts) FROM out_flow")
        tx.execute(
            sql.JUDGED, {"slack": SLACK_S, "day": first_day_s, "since": since, "first": first}
        )
        _literal(tx, fixed)
        tx.execute(
            "INSERT INTO coverage_hour SELECT time_bucket(INTERVAL 1 HOUR, ts), device_id, how, "
            "count(*), sum(up) FROM judged GROUP BY ALL ON CONFLICT (bucket, device_id, how) "
            "DO UPDATE SET flows = flows + excluded.flows, bytes_up = bytes_up + excluded.bytes_up"
        )
        tx.execute(sql.KEEP_UNEXPLAINED, {"explained": list(EXPLAINED), "most": KEEP_AT_ONCE})
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
    for table, order in (
        ("unexplained_hour", "last_seen"),
        ("device_destination", "last_seen"),
        ("device_told", "last_ts"),
        ("device_asked", "last_ts"),
    ):
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
