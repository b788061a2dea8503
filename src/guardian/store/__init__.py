"""The store: the only package that opens DuckDB, and the only place where stages meet."""

from guardian.store.connection import Reader, Store, Transaction

__all__ = ["Reader", "Store", "Transaction"]
