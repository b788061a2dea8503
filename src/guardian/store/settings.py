"""Small facts that Guardian keeps for itself, by key: JSON values in one table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardian.store.connection import Reader, Store


def get(reader: Reader, key: str, default: Any = None) -> Any:
    """Return the value kept under ``key``, or ``default``."""
    text = reader.value("SELECT value FROM setting WHERE key = ?", [key])
    return default if text is None else json.loads(text)


def put(store: Store, key: str, value: Any) -> None:
    """Keep a JSON value under ``key``, over what was there."""
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO setting VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [key, json.dumps(value)],
        )


def put_once(store: Store, key: str, value: Any) -> Any:
    """Keep a value unless there is one; return the one that is kept."""
    with store.transaction() as tx:
        tx.execute(
            "INSERT INTO setting VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
            [key, json.dumps(value)],
        )
        return get(tx, key)
