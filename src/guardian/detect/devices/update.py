"""Bring the list of devices up to the newest rows.

Only rows after the watermark are looked at, and everything found is merged into
what is held, so that the same rows seen twice change nothing.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from guardian.detect.devices import coverage, segments, usual
from guardian.detect.devices.identity import Interval, Known, Register, settle
from guardian.detect.devices.merging import propose
from guardian.detect.devices.naming import Identity, identify
from guardian.detect.devices.observe import Observations, observe
from guardian.detect.devices.said import Hint
from guardian.detect.devices.settings import Settings
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from guardian.store import Reader, Store, Transaction

_TEXT: pl.DataType | type[pl.DataType] = pl.String
_TIME: pl.DataType | type[pl.DataType] = pl.Datetime("us")

LASTING = timedelta(minutes=10)
"""Calling a telling name for so long is no chance visit."""

NARROW_MOST = 25
"""Registered names that a gadget asks for at most, in a day and more: its maker's, a time
server's, a few it checks the internet with. Laptops and phones pass it within hours."""

_NARROW = """
SELECT a.device_id, count(*) AS places, greatest(1, date_diff('day', any_value(d.first_seen),
       any_value(d.last_seen))) AS days
FROM device_asked a JOIN device d USING (device_id)
WHERE list_contains($ids, a.device_id) AND d.last_seen - d.first_seen >= INTERVAL 1 DAY
GROUP BY a.device_id HAVING count(*) <= $most
"""

MARK = "devices"
"""The name of the watermark in ``detector_mark``."""


def update(store: Store, settings: Settings | None = None, now: datetime | None = None) -> int:
    """Read the rows that are new and return how many devices were new or changed.

    What explains their flows and what is usual for them is brought up to date too.
    """
    settings = settings or Settings()
    changed = _identify(store, settings, now or utc_now())
    coverage.update(store, settings, now or utc_now())
    usual.update(store, now or utc_now())
    return changed


def _identify(store: Store, settings: Settings, now: datetime) -> int:
    begun = time.perf_counter()
    with store.read() as reader:
        low = int(reader.value("SELECT last_id FROM detector_mark WHERE detector = ?", [MARK]) or 0)
        high = int(reader.value("SELECT next_id - 1 FROM row_counter") or 0)
        if high <= low:
            return 0
        seen = observe(reader, settings, low, high)
        register = _load(reader, settings, seen)
    touched = _place(register, seen, settings)
    with store.transaction() as tx:
        _save(tx, register, touched, settings)
        segments.update(tx, settings, low, high)
        describe(tx, sorted(touched))
        segments.suggest(tx)
        propose(tx, touched, settings, now)
        tx.execute(
            "INSERT INTO detector_mark (detector, last_id, ran_at, seconds, error) "
            "VALUES ($mark, $high, $now, $seconds, $error) ON CONFLICT (detector) DO UPDATE SET "
            "last_id = excluded.last_id, ran_at = excluded.ran_at, seconds = excluded.seconds, "
            "error = excluded.error",
            {
                "mark": MARK,
                "high": high,
                "now": now,
                "seconds": time.perf_counter() - begun,
                "error": f"the list of {settings.max_devices:,} devices is full"
                if register.turned_away
                else None,
            },
        )
    return len(touched)


def _load(reader: Reader, settings: Settings, seen: Observations) -> Register:
    devices = {
        row["device_id"]: Known(
            row["device_id"], row["mac"], row["first_seen"], row["last_seen"], row["merged_into"]
        )
        for row in reader.rows(
            "SELECT device_id, mac, first_seen, last_seen, merged_into FROM device"
        )
    }
    intervals: dict[str, list[Interval]] = defaultdict(list)
    wanted = {stay.ip for stay in seen.stays} | {hint.ip for hint in seen.hints if hint.ip}
    for row in reader.rows(
        "SELECT device_id, ip, mac, valid_from, seen_at, valid_to FROM device_address "
        "WHERE list_contains($ips, ip) ORDER BY ip, valid_from",
        {"ips": sorted(wanted)},
    ):
        intervals[row["ip"]].append(
            Interval(
                row["device_id"], row["ip"], row["mac"], row["valid_from"], row["seen_at"],
                row["valid_to"],
            )
        )  # fmt: skip
    return Register(devices, dict(intervals), settings.max_devices)


def _place(
    register: Register, seen: Observations, settings: Settings
) -> dict[str, dict[tuple[str, str], Hint]]:
    """Attribute stays and hints; return the touched devices with their new hints."""
    touched: dict[str, dict[tuple[str, str], Hint]] = {}
    for stay in sorted(seen.stays, key=lambda item: (item.first, item.ip, item.mac or "")):
        device = register.place(stay)
        if device:
            touched.setdefault(device, {})
    for ip, intervals in register.intervals.items():
        register.intervals[ip] = settle(intervals, settings.max_intervals_per_address)
    for hint in (*seen.hints, *_router_hints(register, seen.routers)):
        device = register.by_mac.get(hint.mac) if hint.mac else None
        if device is None and hint.ip:
            device = register.holder(hint.ip, hint.last)
        if device is None:
            continue
        said = touched.setdefault(device, {})
        known = said.get((hint.source, hint.value))
        if known is not None:
            first, last = min(known.first, hint.first), max(known.last, hint.last)
            said[hint.source, hint.value] = replace(hint, first=first, last=last)
        else:
            said[hint.source, hint.value] = hint
    return touched


def _router_hints(register: Register, routers: Iterable[str]) -> list[Hint]:
    found = []
    for mac in routers:
        device = register.by_mac.get(mac)
        if device:
            known = register.devices[device]
            value = "carries traffic for addresses outside the home"
            found.append(Hint(mac, None, "router", value, known.first, known.last))
    return found


def _save(
    tx: Transaction,
    register: Register,
    touched: Mapping[str, Mapping[tuple[str, str], Hint]],
    settings: Settings,
) -> None:
    known = [register.devices[device] for device in touched]
    _put(
        tx,
        "INSERT INTO device (device_id, name, mac, first_seen, last_seen, merged_into) "
        "SELECT id, id, mac, first_seen, last_seen, into_id FROM fresh "
        "ON CONFLICT (device_id) DO UPDATE SET mac = excluded.mac, "
        "first_seen = excluded.first_seen, last_seen = excluded.last_seen",
        {"id": _TEXT, "mac": _TEXT, "first_seen": _TIME, "last_seen": _TIME, "into_id": _TEXT},
        [(each.id, each.mac, each.first, each.last, each.merged_into) for each in known],
    )
    for merged, into in sorted(register.merges.items()):
        tx.execute("UPDATE device SET merged_into = ? WHERE device_id = ?", [into, merged])
    ips = sorted({item.ip for rows in register.intervals.values() for item in rows})
    tx.execute("DELETE FROM device_address WHERE list_contains(?, ip)", [ips])
    _put(
        tx,
        "INSERT INTO device_address (device_id, ip, mac, valid_from, valid_to, seen_at) "
        "SELECT * FROM fresh",
        {"device": _TEXT, "ip": _TEXT, "mac": _TEXT, "since": _TIME, "until": _TIME, "seen": _TIME},
        [
            (item.device, item.ip, item.mac, item.since, item.until, item.seen)
            for _, rows in sorted(register.intervals.items())
            for item in rows
        ],
    )
    _put(
        tx,
        "INSERT INTO device_hint SELECT * FROM fresh ON CONFLICT DO UPDATE SET "
        "first_seen = least(first_seen, excluded.first_seen), "
        "last_seen = greatest(last_seen, excluded.last_seen)",
        {"device": _TEXT, "source": _TEXT, "value": _TEXT, "first": _TIME, "last": _TIME},
        [
            (device, hint.source, hint.value, hint.first, hint.last)
            for device, said in touched.items()
            for hint in said.values()
        ],
    )
    ids = sorted(touched)
    tx.execute(
        "DELETE FROM device_hint WHERE (device_id, source, value) IN ("
        "SELECT (device_id, source, value) FROM device_hint WHERE list_contains($ids, device_id) "
        "QUALIFY row_number() OVER (PARTITION BY device_id, source "
        "ORDER BY last_seen DESC, value) > $most)",
        {"ids": ids, "most": settings.max_hints_per_device},
    )


def _put(
    tx: Transaction,
    sql: str,
    schema: Mapping[str, pl.DataType | type[pl.DataType]],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Run a statement over rows that it reads from the frame ``fresh``."""
    if rows:
        with tx.registered("fresh", pl.DataFrame(rows, schema=dict(schema), orient="row")):
            tx.execute(sql)


def describe(tx: Transaction, ids: Iterable[str]) -> None:
    """Work out name, kind, vendor and model again; what a person has set stays."""
    wanted = list(ids)
    hints: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in tx.rows(
        "SELECT device_id, CASE WHEN source = 'domain' AND last_seen - first_seen < $lasting "
        "THEN 'domain_once' ELSE source END AS source, value FROM device_hint "
        "WHERE list_contains($ids, device_id) ORDER BY device_id, source, last_seen DESC, value",
        {"ids": wanted, "lasting": LASTING},
    ):
        hints[row["device_id"]].append((row["source"], row["value"]))
    for row in tx.rows("SELECT device_id FROM v_own_device"):
        hints[row["device_id"]].append(("own", "runs on it"))
    for row in tx.rows(_NARROW, {"ids": wanted, "most": NARROW_MOST}):
        hints[row["device_id"]].append(("narrow", f"{row['places']} places in {row['days']} days"))
    taken = {row["name"] for row in tx.rows(
        "SELECT name FROM device WHERE NOT list_contains(?, device_id) AND merged_into IS NULL",
        [wanted],
    )}  # fmt: skip
    for row in tx.rows(
        """
        SELECT d.*, a.ip, s.segment AS network, s.name AS network_name, s.role FROM device d
        LEFT JOIN (
            SELECT device_id, arg_min(ip, (contains(ip, ':'), valid_to IS NOT NULL, ip)) AS ip
            FROM device_address GROUP BY 1) a USING (device_id)
        LEFT JOIN v_address_segment s ON s.ip = a.ip
        WHERE list_contains(?, device_id) ORDER BY first_seen, device_id
        """,
        [wanted],
    ):
        identity = identify(row["mac"], row["ip"], hints[row["device_id"]])
        _write(tx, row, identity, taken)


def _write(
    tx: Transaction,
    row: dict[str, Any],
    identity: Identity,
    taken: set[str],
) -> None:
    locked = set(row["locked"])
    name = identity.name
    if name in taken and row["merged_into"] is None:
        name = f"{name} ({row['ip'] or row['mac'] or row['device_id']})"
    if row["merged_into"] is None:
        taken.add(row["name"] if "name" in locked else name)
    old = json.loads(row["reasons"] or "{}")
    reasons = {
        **{key: text for key, text in old.items() if key in locked or key == "merged_into"},
        **{key: text for key, text in identity.reasons.items() if key not in locked},
    }
    segment = row["role"] or row["network_name"] or row["network"]
    if segment is not None and "segment" not in locked:
        reasons["segment"] = f"because its address lies in {row['network']}" + (
            "" if row["role"] else "; the network has no role yet"
        )
    new = {
        "name": name,
        "kind": identity.kind,
        "vendor": identity.vendor,
        "model": identity.model,
        "segment": segment,
    }
    new["kind_certainty"] = None if "kind" in locked else identity.certainty
    kept = {column: row[column] if column in locked else value for column, value in new.items()}
    if reasons == old and all(row[column] == value for column, value in kept.items()):
        return
    tx.execute(
        "UPDATE device SET name = $name, kind = $kind, vendor = $vendor, model = $model, "
        "segment = $segment, kind_certainty = $kind_certainty, reasons = $reasons "
        "WHERE device_id = $device_id",
        {**kept, "reasons": json.dumps(reasons), "device_id": row["device_id"]},
    )
