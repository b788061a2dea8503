"""The names that Pi-hole's database keeps in tables of their own, looked up once each.

A query names its domain, client and upstream by a number. A name is asked for, and brought
to our normal form, when a query first needs it; that is far cheaper than joining it to each
query. Queries that hold the text itself (older schemas, and some rows of newer ones) come
with -1 and are asked for it one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from guardian.collect import columns

if TYPE_CHECKING:
    from guardian.store.foreign import SqliteReader

MOST_KNOWN = 300_000
"""More names than this are not kept from one chunk to the next: some 40 MB."""
_ASKED_AT_ONCE = 20_000
"""Numbers in one question: its text stays far below SQLite's limit of a million bytes."""
_LITERAL = -1

_TABLES = {
    "domain": ("domain_by_id", "domain"),
    "client": ("client_by_id", "ip"),
    "forward": ("forward_by_id", "forward"),
}


class Names:
    """What the numbers in queries mean, as far as they were met."""

    def __init__(self, reader: SqliteReader, *, linked: bool) -> None:
        self._reader = reader
        self._linked = linked
        self._named = linked and "name" in reader.columns("client_by_id")
        empty = _frame([])
        self._known = {name: _normal(name, empty) for name in _TABLES}

    def given(self, queries: pl.DataFrame, table: str) -> pl.DataFrame:
        """Return queries with ``rrname``, ``src_ip``, ``client_name`` and ``upstream``."""
        literal = self._literal(queries, table)
        for name in _TABLES:
            found = self._found(name, queries[name])
            queries = queries.join(found, on=name, how="left", maintain_order="left")
        if literal is None:
            return queries
        queries = queries.join(literal, on="foreign_id", how="left", maintain_order="left")
        return queries.with_columns(
            pl.coalesce(name, f"{name}_literal").alias(name)
            for name in ("rrname", "src_ip", "upstream")
        )

    def _found(self, name: str, numbers: pl.Series) -> pl.DataFrame:
        """Return what is known of a column, after asking for what is not known yet."""
        known = self._known[name]
        asked = numbers.unique().drop_nulls()
        asked = asked.filter(~asked.is_in(known[name].implode()) & (asked != _LITERAL))
        if self._linked and asked.len():
            known = pl.concat([known, _normal(name, self._ask(name, asked.to_list()))])
            self._known[name] = known if known.height <= MOST_KNOWN else known.clear()
        return known

    def _ask(self, name: str, numbers: list[int]) -> pl.DataFrame:
        table, column = _TABLES[name]
        more = "name" if name == "client" and self._named else "NULL"
        rows = []
        for at in range(0, len(numbers), _ASKED_AT_ONCE):
            listed = ", ".join(map(str, numbers[at : at + _ASKED_AT_ONCE]))
            rows += self._reader.rows(
                f"SELECT id, hex({column}) AS text, hex({more}) AS more FROM {table} "
                f"WHERE id IN ({listed})"
            )
        return _frame([(int(row["id"]), unhex(row["text"]), unhex(row["more"])) for row in rows])

    def _literal(self, queries: pl.DataFrame, table: str) -> pl.DataFrame | None:
        """Return the texts of queries that hold some themselves; None when there are none."""
        holds = queries.select(
            pl.any_horizontal((pl.col(name) == _LITERAL).any() for name in _TABLES)
        ).item()
        if not holds:
            return None
        first, last = queries["foreign_id"][0], queries["foreign_id"][-1]
        texts = ", ".join(
            f"CASE typeof({name}) WHEN 'integer' THEN NULL ELSE hex({name}) END AS {name}"
            for name in _TABLES
        )
        rows = self._reader.arrow(
            "SELECT CAST(id AS BIGINT) AS foreign_id, domain, client, forward FROM rows",
            f"SELECT id, {texts} FROM {table} WHERE id BETWEEN {first} AND {last}",
        )
        found = pl.from_arrow(rows)
        assert isinstance(found, pl.DataFrame)
        found = found.with_columns(columns.mapped(found[name], unhex) for name in _TABLES)
        return found.select(
            "foreign_id",
            _domain(pl.col("domain")).alias("rrname_literal"),
            columns.address_column(found["client"]).alias("src_ip_literal"),
            _told(pl.col("forward")).alias("upstream_literal"),
        )


def unhex(text: str) -> str:
    """Return the text whose bytes SQLite gave as digits; it vouches for no encoding."""
    return bytes.fromhex(text or "").decode("utf-8", "replace").replace("\0", "")


def _frame(rows: list[tuple[int, str | None, str | None]]) -> pl.DataFrame:
    schema = {"id": pl.Int64, "text": pl.String, "more": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _normal(name: str, found: pl.DataFrame) -> pl.DataFrame:
    """Bring names to our normal form, with the columns that the store has for them."""
    found = found.rename({"id": name})
    if name == "domain":
        return found.select(name, _domain(pl.col("text")).alias("rrname"))
    if name == "forward":
        return found.select(name, _told(pl.col("text")).alias("upstream"))
    return found.select(
        name,
        columns.address_column(found["text"]).alias("src_ip"),
        _told(pl.col("more")).alias("client_name"),
    )


def _domain(column: pl.Expr) -> pl.Expr:
    return column.str.to_lowercase().str.strip_suffix(".").str.slice(0, 1024)


def _told(column: pl.Expr) -> pl.Expr:
    return pl.when(column != "").then(column)
