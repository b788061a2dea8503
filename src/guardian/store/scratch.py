"""A DuckDB of its own, in memory: collectors look with it at what they have just read."""

from __future__ import annotations

from typing import Self

import duckdb

from guardian.store.connection import Reader


class Scratch(Reader):
    """A private in-memory database; it holds nothing and sees nothing of the store."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config=_SETTINGS)
        super().__init__(self._connection.cursor())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory. Safe to call twice."""
        super().close()
        self._connection.close()


_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "preserve_insertion_order": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "enable_external_access": False,  # it reads Arrow tables only
}
