"""The privacy ledger: device × company × purpose, how often, how much, when, and the trend.

It is read from contacts by the hour (``contacts``), so a year of them costs no more
than a second; hours are whole, and the night and being away are told by the hour.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.store import contacts

if TYPE_CHECKING:
    from collections.abc import Collection

    from guardian.store.connection import Reader, Transaction

Row = dict[str, Any]

CLASSES = contacts.CLASSES
WEEKS = 4
"""Weeks of the trend."""
NIGHT_FROM_H, NIGHT_TO_H = 23, 6
"""The night, in hours of the home's day."""


def ledger(
    reader: Reader,
    *,
    since: datetime,
    until: datetime,
    offset_s: int = 0,
    away: Collection[datetime] | None = None,
    limit: int = 500,
) -> list[Row]:
    """Return a row for each device, company and class, the busiest device first.

    ``contacts`` and ``refused`` count, ``bytes_up`` and ``bytes_down`` add up,
    ``night_share`` is the share of contacts between 23 and 6 o'clock (``offset_s``
    seconds ahead of UTC), ``away_share`` that in the hours ``away`` (None: not known).
    ``weeks`` are the contacts of the four weeks before ``until``, oldest first; None
    stands for a week before the first row stored. ``trend`` says ``new``, ``more``,
    ``less``, ``steady``, or None where less than two weeks are stored; a week of which
    more than a day was not seen is not compared with.
    """
    rows = _summed(reader, since=since, until=until, offset_s=offset_s, away=away, limit=limit)
    weekly, stored, whole = _weekly(reader, until=until)
    for row in rows:
        counts = weekly.get((row["device_id"], row["company"], row["class"]), {})
        row["weeks"] = [counts.get(w, 0) if w < stored else None for w in range(WEEKS - 1, -1, -1)]
        row["trend"] = _trend(
            [
                count if w < whole else None
                for w, count in zip(range(WEEKS - 1, -1, -1), row["weeks"], strict=True)
            ]
        )
        if away is None:
            row["away_share"] = None
    return rows


def incomplete(reader: Reader) -> str | None:
    """Say that the ledger does not hold all yet, or None.

    So it is for a minute or two after an upgrade, and after a large import.
    """
    rows = contacts.uncounted(reader)
    if not rows:
        return None
    return (
        f"This is not complete yet: {rows:,} stored events are still to be counted. "
        "That takes Guardian a minute or two while it runs."
    )


def _summed(
    reader: Reader,
    *,
    since: datetime,
    until: datetime,
    offset_s: int,
    away: Collection[datetime] | None,
    limit: int,
) -> list[Row]:
    return reader.rows(
        f"""{contacts.CONTACT},
        -- First by name, of which there are few: who stands behind it is looked up once.
        by_name AS (
            SELECT device_id, name, kind, sum(contacts)::BIGINT AS contacts, sum(refused)::BIGINT AS refused,
                   coalesce(sum(contacts) FILTER (
                       hour(bucket + to_seconds($offset_s)) >= $night_from OR hour(bucket + to_seconds($offset_s)) < $night_to), 0) AS night,
                   coalesce(sum(contacts) FILTER (list_contains($away, bucket)), 0) AS away,
                   sum(bytes_up)::BIGINT AS bytes_up, sum(bytes_down)::BIGINT AS bytes_down,
                   min(bucket) AS first_seen, max(bucket) AS last_seen
            FROM contact GROUP BY device_id, name, kind
        ),
        counted AS (
            SELECT device_id, company, class, kind, sum(contacts)::BIGINT AS contacts, sum(refused)::BIGINT AS refused,
                   sum(night) AS night, sum(away) AS away,
                   sum(bytes_up)::BIGINT AS bytes_up, sum(bytes_down)::BIGINT AS bytes_down,
                   min(first_seen) AS first_seen, max(last_seen) AS last_seen,
                   list_sort(list_distinct(list(service))) AS services,
                   list_sort(list_distinct(flatten(list(purposes)))) AS purposes, min(grade) AS grade
            FROM by_name JOIN name_hit h USING (name) WHERE list_contains($classes, h.class)
            GROUP BY device_id, company, class, kind
        )
        SELECT c.device_id, coalesce(any_value(d.name), c.device_id) AS device, any_value(d.kind) AS device_kind,
               company, class,
               list_sort(list_distinct(flatten(list(services)))) AS services,
               list_sort(list_distinct(flatten(list(purposes)))) AS purposes, min(grade) AS grade,
               max(contacts) AS contacts, max(refused) AS refused,
               sum(bytes_up)::BIGINT AS bytes_up, sum(bytes_down)::BIGINT AS bytes_down,
               round(arg_max(night / contacts, contacts), 2) AS night_share,
               round(arg_max(away / contacts, contacts), 2) AS away_share,
               min(c.first_seen) AS first_seen, max(c.last_seen) AS last_seen
        FROM counted c LEFT JOIN device d ON d.device_id = c.device_id
        GROUP BY c.device_id, company, class
        ORDER BY sum(max(contacts)) OVER (PARTITION BY c.device_id) DESC, device, contacts DESC, company, class
        LIMIT $limit
        """,  # noqa: E501 - a row of the result is one line
        {
            **_bound(reader, since, until),
            "offset_s": offset_s,
            "away": sorted(away or ()) or [datetime(1970, 1, 1)],  # noqa: DTZ001 - UTC without an offset
            "night_from": NIGHT_FROM_H,
            "night_to": NIGHT_TO_H,
            "limit": limit,
        },
    )


def _bound(reader: Reader, since: datetime, until: datetime) -> Row:
    """Bind a window of whole hours: the hour that ``since`` lies in counts whole."""
    whole = since.replace(minute=0, second=0, microsecond=0)
    return {**contacts.tail(reader), "classes": CLASSES, "since": whole, "until": until}


def _weekly(
    reader: Reader, *, until: datetime
) -> tuple[dict[tuple[str, str, str], dict[int, int]], int, int]:
    """Return contacts by (device, company, class) and week (0 the last), the weeks, whole ones."""
    since = until - timedelta(weeks=WEEKS)
    rows = reader.rows(
        f"""{contacts.CONTACT}
        SELECT device_id, company, class, week, max(contacts)::BIGINT AS contacts FROM (
            SELECT device_id, company, class, kind, week, sum(contacts) AS contacts FROM (
                SELECT device_id, name, kind,
                       least(floor(epoch($until::TIMESTAMP - bucket) / 604800)::INTEGER, $weeks - 1) AS week,
                       sum(contacts) AS contacts
                FROM contact GROUP BY ALL
            ) JOIN name_hit h USING (name) WHERE list_contains($classes, h.class) GROUP BY ALL)
        GROUP BY ALL
        """,  # noqa: E501 - a row of the result is one line
        {**_bound(reader, since, until), "weeks": WEEKS},
    )
    counts: dict[tuple[str, str, str], dict[int, int]] = {}
    for row in rows:
        key = (row["device_id"], row["company"], row["class"])
        counts.setdefault(key, {})[row["week"]] = row["contacts"]
    first = contacts.first_hour(reader)
    if first is None:
        return counts, 0, 0
    stored = (until - first) // timedelta(weeks=1) + 1
    whole = (until - first + timedelta(days=1)) // timedelta(weeks=1)
    return counts, min(stored, WEEKS), min(whole, WEEKS)


def _trend(weeks: list[int | None]) -> str | None:
    """Compare the last week with the mean of those before it; half as much again is a change."""
    before = [count for count in weeks[:-1] if count is not None]
    now = weeks[-1] or 0
    if not before:
        return None
    usual = sum(before) / len(before)
    if usual == 0:
        return "new" if now else None
    if now > 1.5 * usual:
        return "more"
    return "less" if now < usual / 1.5 else "steady"


def met(reader: Reader, *, since: datetime, until: datetime) -> list[Row]:
    """Return what each device talked to: ``device_id, device, class, company``, sorted."""
    return reader.rows(
        f"""{contacts.CONTACT}
        SELECT DISTINCT s.device_id, coalesce(d.name, s.device_id) AS device, s.class, s.company
        FROM seen s LEFT JOIN device d ON d.device_id = s.device_id
        ORDER BY device, s.class, s.company LIMIT 500
        """,
        _bound(reader, since, until),
    )


def by_service(
    reader: Reader, classes: Collection[str], *, since: datetime, until: datetime, offset_s: int = 0
) -> list[Row]:
    """Return contacts with some classes by device, company and service, most bytes up first.

    ``hours`` are the hours of the home's day in which there were any, ``days`` the days.
    """
    return reader.rows(
        f"""{contacts.CONTACT},
        counted AS (
            SELECT device_id, company, service, class, kind, sum(contacts)::BIGINT AS contacts,
                   sum(bytes_up)::BIGINT AS bytes_up, sum(bytes_down)::BIGINT AS bytes_down,
                   list_sort(list_distinct(list(hour(bucket + to_seconds($offset_s))))) AS hours,
                   count(DISTINCT (bucket + to_seconds($offset_s))::DATE) AS days
            FROM seen WHERE list_contains($wanted, class) GROUP BY ALL
        )
        SELECT c.device_id, coalesce(any_value(d.name), c.device_id) AS device, any_value(d.kind) AS device_kind,
               company, service, class, max(contacts) AS contacts, sum(bytes_up)::BIGINT AS bytes_up,
               sum(bytes_down)::BIGINT AS bytes_down, list_sort(list_distinct(flatten(list(hours)))) AS hours, max(days) AS days
        FROM counted c LEFT JOIN device d ON d.device_id = c.device_id
        GROUP BY c.device_id, company, service, class ORDER BY bytes_up DESC, contacts DESC, device, company, service LIMIT 200
        """,  # noqa: E501 - a row of the result is one line
        {**_bound(reader, since, until), "wanted": list(classes), "offset_s": offset_s},
    )


def hourly(
    reader: Reader, *, device_id: str, finding_class: str, company: str | None,
    since: datetime, until: datetime,
) -> list[Row]:  # fmt: skip
    """Return the whole hours in which a device was seen at all: ``hour, contacts, bytes_up``.

    Contacts are those with a class (of one company, or of every one), zeros included.
    The hours that ``since`` and ``until`` cut are left out, unless they begin with them.
    """
    first = since.replace(minute=0, second=0, microsecond=0)
    if first < since:
        first += timedelta(hours=1)
    last = until.replace(minute=0, second=0, microsecond=0)
    bound = {**_bound(reader, first, last), "device": device_id}
    active = reader.rows(
        f"{contacts.ACTIVE} SELECT bucket FROM active WHERE device_id = $device ORDER BY bucket",
        {key: value for key, value in bound.items() if key != "classes"},
    )
    met = reader.rows(
        f"""{contacts.CONTACT}
        SELECT bucket, max(contacts)::BIGINT AS contacts, max(bytes_up)::BIGINT AS bytes_up
        FROM (
            SELECT bucket, kind, sum(contacts) AS contacts, sum(bytes_up) AS bytes_up FROM seen
            WHERE device_id = $device AND class = $class
              AND ($company IS NULL OR company = $company)
            GROUP BY ALL) GROUP BY bucket
        """,
        {**bound, "class": finding_class, "company": company},
    )
    found = {row["bucket"]: row for row in met}
    hours = sorted({row["bucket"] for row in active} | set(found))
    return [
        {
            "hour": hour,
            "contacts": found[hour]["contacts"] if hour in found else 0,
            "bytes_up": found[hour]["bytes_up"] if hour in found else 0,
        }
        for hour in hours
    ]


def moments(
    reader: Reader, *, device_id: str, finding_class: str, company: str | None,
    since: datetime, until: datetime, limit: int = 3000,
) -> list[datetime]:  # fmt: skip
    """Return when a device opened connections to a class, from the rows still stored, in order.

    Hellos where there are any, else flows' questions; at most ``limit``, the newest.
    """
    rows = reader.rows(
        """
        WITH known AS (
            SELECT DISTINCT name FROM name_hit WHERE class = $class AND ($company IS NULL OR company = $company)
        ),
        held AS (SELECT DISTINCT ip FROM v_device_address WHERE device_id = $device UNION SELECT $device),
        met AS (
            SELECT 1 AS kind, ts FROM tls WHERE ts >= $since AND ts < $until AND src_ip IN (SELECT ip FROM held)
              AND lower(sni) IN (SELECT name FROM known)
            UNION ALL SELECT 1, ts FROM quic WHERE ts >= $since AND ts < $until AND src_ip IN (SELECT ip FROM held)
              AND lower(sni) IN (SELECT name FROM known)
            UNION ALL SELECT 2, ts FROM dns WHERE ts >= $since AND ts < $until AND src_ip IN (SELECT ip FROM held)
              AND type = 'query' AND lower(rrname) IN (SELECT name FROM known)
            UNION ALL SELECT 3, ts FROM dns_log WHERE ts >= $since AND ts < $until AND src_ip IN (SELECT ip FROM held)
              AND lower(rrname) IN (SELECT name FROM known)
        )
        SELECT ts FROM met WHERE kind = (SELECT min(kind) FROM met) ORDER BY ts DESC LIMIT $limit
        """,  # noqa: E501 - a row of a union is one line
        {"device": device_id, "class": finding_class, "company": company, "since": since,
         "until": until, "limit": limit},
    )  # fmt: skip
    return sorted(row["ts"] for row in rows)


def record_opt_out(
    tx: Transaction, *, device_id: str, finding_class: str, switched_off_at: datetime,
    author: str, now: datetime, company: str | None = None, note: str = "",
) -> int:  # fmt: skip
    """Keep what a person says was switched off, and return its id."""
    return int(
        tx.value(
            "INSERT INTO opt_out (device_id, class, company, switched_off_at, author, note, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
            [device_id, finding_class, company, switched_off_at, author, note[:500], now],
        )
    )


def opt_outs(reader: Reader) -> list[Row]:
    """Return what was said to be switched off and not withdrawn, the newest first."""
    return reader.rows(
        "SELECT o.*, coalesce(d.name, o.device_id) AS device FROM opt_out o "
        "LEFT JOIN device d USING (device_id) WHERE withdrawn_at IS NULL ORDER BY o.id DESC"
    )


def withdraw_opt_out(tx: Transaction, opt_out: int, *, now: datetime) -> bool:
    """Stop checking what was said to be switched off; return whether it was being checked."""
    return bool(
        tx.rows(
            "UPDATE opt_out SET withdrawn_at = ? WHERE id = ? AND withdrawn_at IS NULL "
            "RETURNING id",
            [now, opt_out],
        )
    )


def answers(reader: Reader, opt_out: int) -> list[Row]:
    """Return what was said of an opt-out, each time that the answer changed, oldest first."""
    return reader.rows(
        "SELECT answered_at, answer, detail::VARCHAR AS detail FROM opt_out_answer "
        "WHERE opt_out_id = ? ORDER BY answered_at, rowid",
        [opt_out],
    )


def note_answer(tx: Transaction, opt_out: int, answer: str, detail: str, *, now: datetime) -> bool:
    """Keep an answer; return whether it is another one than that given last.

    The same answer again only brings its figures up to date.
    """
    last = tx.one(
        "SELECT rowid AS row, answer FROM opt_out_answer WHERE opt_out_id = ? "
        "ORDER BY answered_at DESC, rowid DESC LIMIT 1",
        [opt_out],
    )
    if last is not None and last["answer"] == answer:
        tx.execute("UPDATE opt_out_answer SET detail = ? WHERE rowid = ?", [detail, last["row"]])
        return False
    tx.execute("INSERT INTO opt_out_answer VALUES (?, ?, ?, ?)", [opt_out, now, answer, detail])
    return True


def changed_answers(reader: Reader, *, since: datetime, until: datetime) -> list[Row]:
    """Return the opt-outs whose answer changed in a window, each with its last answer."""
    return reader.rows(
        "SELECT o.*, coalesce(d.name, o.device_id) AS device, a.answer, a.answered_at, "
        "a.detail::VARCHAR AS detail FROM opt_out o LEFT JOIN device d USING (device_id) "
        "JOIN (SELECT opt_out_id, arg_max(answer, answered_at) AS answer, "
        "arg_max(detail, answered_at) AS detail, max(answered_at) AS answered_at "
        "FROM opt_out_answer GROUP BY opt_out_id) a ON a.opt_out_id = o.id "
        "WHERE o.withdrawn_at IS NULL AND a.answered_at >= $since AND a.answered_at < $until "
        "ORDER BY a.answered_at, o.id",
        {"since": since, "until": until},
    )
