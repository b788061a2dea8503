"""The rows that findings name as evidence, kept at hand in the one shape that the page shows.

A story's evidence may lie all over a month: to find two hundred rows by their ids in the cold
tier, as many groups of rows in as many files are unpacked. So each row that a finding names is
written down once, while it is in the fast tier; it then outlives the row itself. Evidence is
named ``table:id``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from guardian.store.archive import by_ids
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from guardian.store.connection import Store
    from guardian.store.reader import Reader, Transaction

PIECE = 2000
"""Rows that one transaction looks for: others may write in between."""
_MARK = "evidence"
"""In ``rollup_mark``: microseconds since 1970 of the newest finding that was looked at, and never
ahead of the clock."""

# What each table says in one phrase, and where its sides and sizes are.
_PEER = "src_ip, dest_ip, dest_port"
_NO_SIZE = "NULL::BIGINT AS up, NULL::BIGINT AS down"
COLUMNS: dict[str, str] = {
    "flow": "concat_ws(' ', coalesce(nullif(app_proto, 'failed'), lower(proto)), 'flow') AS what, "
    f"{_PEER}, bytes_toserver AS up, bytes_toclient AS down",
    "dns": f"concat_ws(' ', 'dns', type, rrname, rrtype, rcode) AS what, {_PEER}, {_NO_SIZE}",
    "dns_log": "concat_ws(' ', 'asked for', rrname, rrtype, status) AS what, src_ip, "
    f"upstream AS dest_ip, NULL::INTEGER AS dest_port, {_NO_SIZE}",
    "tls": f"concat_ws(' ', 'tls', sni, version) AS what, {_PEER}, {_NO_SIZE}",
    "http": "concat_ws(' ', 'http', http_method, concat(hostname, url), status) AS what, "
    f"{_PEER}, NULL::BIGINT AS up, length AS down",
    "quic": f"concat_ws(' ', 'quic', sni) AS what, {_PEER}, {_NO_SIZE}",
    "fileinfo": "concat_ws(' ', app_proto, 'file', filename, magic) AS what, "
    f"{_PEER}, NULL::BIGINT AS up, size AS down",
    "alert": f"concat_ws(' ', 'alert', signature_id, signature) AS what, {_PEER}, {_NO_SIZE}",
    "anomaly": f"concat_ws(' ', 'anomaly', type, event) AS what, {_PEER}, {_NO_SIZE}",
    "dhcp": "concat_ws(' ', 'dhcp', dhcp_type, hostname, assigned_ip) AS what, "
    f"{_PEER}, {_NO_SIZE}",
    "sighting": "concat_ws(' ', method, mac, name, model) AS what, ip AS src_ip, "
    f"NULL AS dest_ip, NULL::INTEGER AS dest_port, {_NO_SIZE}",
    "raw_event": f"event_type AS what, {_PEER}, {_NO_SIZE}",
}
"""The phrase, sides, port and sizes of each table's rows."""


def update(store: Store, *, now: datetime | None = None) -> int:
    """Keep the evidence of findings that are new or changed; return the rows added.

    Findings dated after ``now`` (None: the clock) are looked at each time: a clock that was
    ahead must not hide those that come until it has caught up. Rows in the cold tier are
    found too, in the order of their ids: a store that was filled by an older Guardian has
    many of them at first. Nothing is lost if this is cut short.
    """
    with store.read() as reader:
        today = int(reader.value("SELECT epoch_us(?::TIMESTAMP)", [now or utc_now()]))
        mark = int(reader.value("SELECT last_id FROM rollup_mark WHERE name = ?", [_MARK]) or -1)
        if mark > today:  # an earlier Guardian took a clock's word for it
            mark = -1
        newest = reader.value("SELECT max(epoch_us(updated_at)) FROM finding")
        if newest is None or newest <= mark:
            return 0
        due = reader.value(
            "SELECT max(epoch_us(updated_at)) FROM finding WHERE epoch_us(updated_at) <= ?",
            [today],
        )
        wanted = reader.arrow(  # a flood of findings names hundreds of thousands of rows
            """
            SELECT DISTINCT split_part(ref, ':', 1) AS source,
                   try_cast(split_part(ref, ':', 2) AS BIGINT) AS id
            FROM (SELECT unnest(evidence) AS ref FROM finding WHERE epoch_us(updated_at) > ?)
            ANTI JOIN kept_row k ON ref = k.source || ':' || k.id
            WHERE id IS NOT NULL ORDER BY source, id
            """,
            [mark],
        )
    found = 0
    for table in COLUMNS:
        ids = wanted.filter(pc.equal(wanted["source"], table))["id"]
        for at in range(0, len(ids), PIECE):
            found += _keep(store, table, ids.slice(at, PIECE).to_pylist())
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO rollup_mark VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET last_id = excluded.last_id",
            [_MARK, due if due is not None else mark],
        )
    return found


def _keep(store: Store, table: str, ids: Sequence[int]) -> int:
    with store.read() as reader:  # opening cold files takes a while: nobody waits for it
        rows = reader.arrow(_select(table, by_ids(reader, table, ids)))
    if not rows.num_rows:
        return 0
    with store.transaction() as tx, tx.registered("found", rows):
        tx.execute(
            "INSERT INTO kept_row SELECT found.* FROM found "
            "ANTI JOIN kept_row USING (source, id) ORDER BY id"
        )
    return int(rows.num_rows)


def forget(tx: Transaction) -> None:
    """Let go of rows that no finding names any more: a finding that grows names newer ones."""
    tx.execute(
        "DELETE FROM kept_row WHERE source || ':' || id NOT IN "
        "(SELECT ref FROM (SELECT unnest(evidence) AS ref FROM finding) WHERE ref IS NOT NULL)"
    )


def rows_of(reader: Reader, table: str, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rows of a table with these ids: those kept, and the others wherever they are."""
    numbers = sorted({int(each) for each in ids})
    if not numbers:
        return []
    found = reader.rows(f"SELECT * FROM kept_row WHERE source = ? AND {_among(numbers)}", [table])
    there = {row["id"] for row in found}
    absent = [each for each in numbers if each not in there]
    if absent:
        found += reader.rows(_select(table, by_ids(reader, table, absent)))
    return found


def _among(numbers: Sequence[int]) -> str:
    return f"id BETWEEN {numbers[0]} AND {numbers[-1]} AND id IN ({', '.join(map(str, numbers))})"


def _select(table: str, relation: str) -> str:
    return f"SELECT '{table}' AS source, id, ts, {COLUMNS[table]} FROM {relation}"
