"""Contacts with what the catalogue knows, by the hour: small enough to ask for a year of them.

Each run adds the rows that came since the last one, once a new hour has begun, and
moves its mark in the same transaction, so nothing is counted twice. What came since
the mark is counted from the rows themselves whenever somebody asks: ``CONTACT`` is
both together.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.model.finding import SURVEILLANCE_CLASSES

if TYPE_CHECKING:
    from guardian.store.connection import Reader, Store, Transaction

CLASSES = sorted(map(str, SURVEILLANCE_CLASSES))
_MARK = "contact"
_RECOUNTED, _BEGIN = "contact_recounted", "contact_begin"
"""In ``rollup_mark`` too: of rows up to this id only those since that time (microseconds since
1970) are counted once more."""
_START = datetime(1970, 1, 1)  # noqa: DTZ001 - times in the store are naive UTC
_COUNTED = ["flow", "dns", "dns_log", "tls", "quic", "http", "sighting"]
"""The tables whose rows are counted."""
MAX_TAIL = 200_000
"""Rows since the mark after which a run does not wait for the hour to end: about a second of
counting."""
STEP = 1_000_000
"""So many rows are counted in one transaction: others write in between. Nor does anybody who
asks count more: while a store without sums catches up, its older hours are shown first."""

# Rows with $after < id <= $upto, but for those that a recount leaves out, as contacts with known
# names. One visit leaves a question, a hello, a flow and perhaps a resolver's log line: each is
# a kind of its own. Bytes are those of flows; of a flow that names nobody, the address's last
# DNS answer tells. DNS that a resolver of the house asks further on, for others, is left out.
_FRESH = """
known AS (SELECT DISTINCT name FROM name_hit WHERE list_contains($classes, class)),
resolver AS (SELECT DISTINCT dest_ip AS ip FROM dns WHERE id > $after AND id <= $upto AND dest_port = 53),
fresh_flow AS (SELECT * FROM flow WHERE id > $after AND id <= $upto AND coalesce(dest_port, 0) <> 53),
-- The hello of a flow lies within its time, but may have come with an earlier batch.
spoken AS (
    SELECT source_id, flow_id, lower(sni) AS name FROM tls WHERE sni LIKE '%.%'
      AND ts BETWEEN (SELECT min(ts) FROM fresh_flow) AND (SELECT max(coalesce(end_ts, ts)) + INTERVAL 5 MINUTES FROM fresh_flow)
    UNION ALL SELECT source_id, flow_id, lower(sni) FROM quic WHERE sni LIKE '%.%'
      AND ts BETWEEN (SELECT min(ts) FROM fresh_flow) AND (SELECT max(coalesce(end_ts, ts)) + INTERVAL 5 MINUTES FROM fresh_flow)
    UNION ALL SELECT source_id, flow_id, lower(hostname) FROM http WHERE hostname LIKE '%.%'
      AND ts BETWEEN (SELECT min(ts) FROM fresh_flow) AND (SELECT max(coalesce(end_ts, ts)) + INTERVAL 5 MINUTES FROM fresh_flow)
),
own AS (
    SELECT source_id, flow_id, min(name) AS name FROM spoken SEMI JOIN fresh_flow USING (source_id, flow_id)
    WHERE flow_id IS NOT NULL AND name <> 'cloudflare-ech.com' GROUP BY ALL
),
met AS (
    SELECT id, 'tls' AS kind, src_ip, lower(sni) AS name, ts, NULL::BIGINT AS up, NULL::BIGINT AS down, false AS refused
    FROM tls WHERE id > $after AND id <= $upto
    UNION ALL SELECT id, 'quic', src_ip, lower(sni), ts, NULL, NULL, false FROM quic WHERE id > $after AND id <= $upto
    UNION ALL SELECT id, 'http', src_ip, lower(hostname), ts, NULL, NULL, false FROM http WHERE id > $after AND id <= $upto
    UNION ALL
    SELECT f.id, 'flow', f.src_ip, coalesce(o.name, n.name, f.dest_ip), f.ts, f.bytes_toserver, f.bytes_toclient, false
    FROM fresh_flow f JOIN address_info s ON s.ip = f.src_ip AND s.home
    LEFT JOIN own o USING (source_id, flow_id) LEFT JOIN v_address_name n ON n.ip = f.dest_ip
    UNION ALL
    SELECT id, 'dns', src_ip, lower(rrname), ts, NULL, NULL, false FROM dns
    WHERE id > $after AND id <= $upto AND type = 'query' AND rrtype IN ('A', 'AAAA', 'HTTPS')
      AND src_ip NOT IN (SELECT ip FROM resolver WHERE ip IS NOT NULL)
    UNION ALL
    SELECT id, 'dns_log', src_ip, lower(rrname), ts, NULL, NULL, coalesce(blocked, false) FROM dns_log
    WHERE id > $after AND id <= $upto
),
fresh AS (
    SELECT date_trunc('hour', m.ts) AS bucket, coalesce(a.device_id, m.src_ip) AS device_id, m.name, m.kind,
           count(*) AS contacts, count(*) FILTER (m.refused) AS refused,
           coalesce(sum(m.up), 0)::BIGINT AS bytes_up, coalesce(sum(m.down), 0)::BIGINT AS bytes_down
    FROM met m SEMI JOIN known USING (name)
    LEFT JOIN v_device_address a ON a.ip = m.src_ip AND a.valid_from <= m.ts AND m.ts < a.valid_to
    WHERE m.src_ip IS NOT NULL AND (m.id > $recounted OR m.ts >= $begin) GROUP BY ALL
)
"""  # noqa: E501 - a row of a union is one line

_FRESH_ACTIVE = """
fresh_active AS (
    SELECT DISTINCT date_trunc('hour', t.ts) AS bucket, coalesce(a.device_id, t.src_ip) AS device_id FROM (
        SELECT id, src_ip, ts FROM flow WHERE id > $after AND id <= $upto
        UNION ALL SELECT id, src_ip, ts FROM dns WHERE id > $after AND id <= $upto AND type = 'query'
        UNION ALL SELECT id, src_ip, ts FROM dns_log WHERE id > $after AND id <= $upto
        UNION ALL SELECT id, ip, ts FROM sighting WHERE id > $after AND id <= $upto
    ) t LEFT JOIN v_device_address a ON a.ip = t.src_ip AND a.valid_from <= t.ts AND t.ts < a.valid_to
    JOIN address_info i ON i.ip = t.src_ip AND i.home
    WHERE t.id > $recounted OR t.ts >= $begin
)
"""  # noqa: E501 - a row of a union is one line

CONTACT = f"""
WITH {_FRESH},
contact AS (
    SELECT coalesce(r.root, c.device_id) AS device_id, bucket, c.name, kind, contacts, refused, bytes_up, bytes_down
    FROM (SELECT * FROM contact_hour WHERE bucket >= $since AND bucket < $until
          UNION ALL SELECT * FROM fresh WHERE bucket >= $since AND bucket < $until) c
    LEFT JOIN v_device_root r ON r.device_id = c.device_id
),
seen AS (
    SELECT c.*, h.company, h.service, h.class, h.purposes, h.grade
    FROM contact c JOIN name_hit h USING (name) WHERE list_contains($classes, h.class)
)
"""  # noqa: E501 - a row of a union is one line
"""``seen``: contacts by hour, device, name and kind between ``$since`` and ``$until``, with who
stands behind the name. Bind ``tail`` and both times (whole hours)."""

ACTIVE = f"""
WITH {_FRESH_ACTIVE},
active AS (
    SELECT DISTINCT coalesce(r.root, c.device_id) AS device_id, bucket
    FROM (SELECT * FROM active_hour UNION ALL SELECT * FROM fresh_active) c
    LEFT JOIN v_device_root r ON r.device_id = c.device_id
    WHERE bucket >= $since AND bucket < $until
)
"""
"""``active``: the hours in which each device was seen at all."""


def tail(reader: Reader) -> dict[str, Any]:
    """Return what ``CONTACT`` and ``ACTIVE`` bind for the rows since the mark.

    Where more than ``STEP`` rows are behind, for the oldest of them.
    """
    after, newest = _mark(reader), _newest(reader)
    if newest - after > STEP:
        after = max(after, _oldest(reader) - 1)
    begin = _mark(reader, _BEGIN)
    return {
        "after": after,
        "upto": min(newest, after + STEP),
        "recounted": _mark(reader, _RECOUNTED),
        "begin": _START + timedelta(microseconds=begin),
    }


def uncounted(reader: Reader) -> int:
    """Return how many rows stored are in no count yet, nor in what ``tail`` adds: 0 in the end."""
    return _newest(reader) - int(tail(reader)["upto"])


def first_hour(reader: Reader) -> datetime | None:
    """Return the first hour of which anything is known, or None."""
    found: datetime | None = reader.value(
        f"WITH {_FRESH_ACTIVE} SELECT min(bucket) FROM (SELECT bucket FROM active_hour "
        "UNION ALL SELECT bucket FROM fresh_active)",
        tail(reader),
    )
    return found


def update(store: Store) -> int:
    """Add the rows since the mark when a new hour has begun; return the rows added.

    What is far behind is added step by step, each in a transaction of its own.
    """
    added = 0
    while True:
        with store.read() as reader:
            bound, mark = tail(reader), _mark(reader)
            behind = bound["upto"] - bound["after"]
            if behind <= 0 or (behind <= MAX_TAIL and not _new_hour(reader, bound)):
                return added
        with store.transaction() as tx:
            if _mark(tx) != mark:
                return added  # somebody else was here meanwhile
            added += _add(tx, bound)


def rebuild(tx: Transaction) -> None:
    """Have what is still stored counted anew by the next ``update``: the catalogue changed.

    Hours whose rows are gone, or not all at hand any more, stay as they were counted: what
    came late for one of them is in its count already.
    """
    counted = max(_mark(tx), _mark(tx, _RECOUNTED))
    first = tx.value(
        "SELECT min(ts) FROM (SELECT min(ts) AS ts FROM flow UNION ALL SELECT min(ts) FROM dns "
        "UNION ALL SELECT min(ts) FROM dns_log UNION ALL SELECT min(ts) FROM tls)"
    )
    if first is None or not _mark(tx):
        return
    begin = _whole_since(tx) or first.replace(minute=0, second=0, microsecond=0)
    for table in ("contact_hour", "active_hour"):
        tx.execute(f"DELETE FROM {table} WHERE bucket >= ?", [begin])
    tx.execute("DELETE FROM rollup_mark WHERE name = ?", [_MARK])
    _move(tx, _RECOUNTED, counted)
    _move(tx, _BEGIN, (begin - _START) // timedelta(microseconds=1))


def _whole_since(tx: Transaction) -> datetime | None:
    """Return since when every row is in the fast tier; None: none has left it yet."""
    found: datetime | None = tx.value(
        """
        SELECT greatest(
            (SELECT max(day) + 1 FROM cold_file WHERE list_contains($tables, table_name)),
            (SELECT max(before_ts) FROM retention_log
             WHERE list_contains($tables, table_name) AND before_ts <= deleted_at))::TIMESTAMP
        """,
        {"tables": _COUNTED},
    )
    return found


def _mark(reader: Reader, name: str = _MARK) -> int:
    return int(reader.value("SELECT last_id FROM rollup_mark WHERE name = ?", [name]) or 0)


def _move(tx: Transaction, name: str, number: int) -> None:
    tx.execute(
        "INSERT INTO rollup_mark VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id",
        [name, number],
    )


def _newest(reader: Reader) -> int:
    return int(reader.value("SELECT next_id FROM row_counter")) - 1


def _oldest(reader: Reader) -> int:
    """Return the smallest id in the fast tier: there is nothing to count before it."""
    each = " UNION ALL ".join(f"SELECT min(id) AS id FROM {table}" for table in _COUNTED)
    return int(reader.value(f"SELECT min(id) FROM ({each})") or 1)


def _new_hour(reader: Reader, bound: dict[str, Any]) -> bool:
    last = reader.value("SELECT max(bucket) FROM active_hour")
    newest = reader.value(f"WITH {_FRESH_ACTIVE} SELECT max(bucket) FROM fresh_active", bound)
    return newest is not None and (last is None or newest > last)


def _add(tx: Transaction, bound: dict[str, Any]) -> int:
    before = int(tx.value("SELECT count(*) FROM contact_hour"))
    tx.execute(
        f"INSERT INTO contact_hour WITH {_FRESH} SELECT * FROM fresh ORDER BY bucket, device_id",
        {**bound, "classes": CLASSES},
    )
    tx.execute(
        f"INSERT INTO active_hour WITH {_FRESH_ACTIVE} SELECT * FROM fresh_active ORDER BY bucket",
        bound,
    )
    _move(tx, _MARK, bound["upto"])
    return int(tx.value("SELECT count(*) FROM contact_hour")) - before
