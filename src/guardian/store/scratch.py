"""A DuckDB of its own, in memory: collectors look with it at what they have just read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import duckdb

from guardian.store.connection import Reader, mapped_errors
from guardian.store.reader import ARROW_ROWS

if TYPE_CHECKING:
    import pyarrow as pa


class Feed:
    """A relation whose rows are whatever ``table`` holds when a statement reads it.

    Its name and columns stay, so a statement over it is planned once for any number of
    tables. The rows are not copied.
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Hand the rows out, in Arrow's interface between libraries."""
        return self.table.__arrow_c_stream__(requested_schema)


class Scratch(Reader):
    """A private in-memory database; it holds nothing and sees nothing of the store.

    It works in one thread, the caller's: the store's writer has the other processor.
    """

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config=_SETTINGS)
        self._plans: dict[str, str] = {}
        super().__init__(self._connection.cursor())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def feed(self, name: str, empty: pa.Table) -> Feed:
        """Make a relation of this name whose rows can be changed; it begins with ``empty``."""
        feed = Feed(empty)
        with mapped_errors():
            self._cursor.register(name, feed)
        return feed

    def planned(self, sql: str) -> pa.Table:
        """Return the rows of a query that is planned once: that takes longer than running it.

        Raises:
            StoreError: DuckDB refused it.
        """
        with mapped_errors():
            plan = self._plans.get(sql)
            if plan is None:
                plan = f"plan_{len(self._plans)}"
                self._cursor.execute(f"PREPARE {plan} AS {sql}")
                self._plans[sql] = plan
            return self._cursor.execute(f"EXECUTE {plan}").to_arrow_table(ARROW_ROWS)

    def close(self) -> None:
        """Free the memory. Safe to call twice."""
        super().close()
        self._connection.close()


_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1,
    "preserve_insertion_order": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "enable_external_access": False,  # it reads Arrow tables only
}
