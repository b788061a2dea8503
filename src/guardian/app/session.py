"""Reach the store for one command: through the running daemon, or by opening it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from guardian.app import rpc
from guardian.app.service import Service
from guardian.errors import StoreLockedError
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guardian.config import Config


def call(config: Config, what: str, **parameters: Any) -> Any:
    """Run one call of ``app.service`` wherever the store is open.

    Raises:
        GuardianError: as the call does, from the daemon too.
    """
    if config.data.is_dir():
        with contextlib.suppress(ConnectionError):
            return rpc.ask(config.data, what, parameters)
    with opened(config) as store:
        return Service(store=store, config=config).call(what, parameters)


@contextlib.contextmanager
def opened(config: Config) -> Iterator[Store]:
    """Open the store for a command that needs it for itself.

    Raises:
        StoreLockedError: the daemon has it; the message says what to do.
    """
    try:
        store = Store.open(config.data)
    except StoreLockedError as error:
        msg = f"{error}; stop it or wait, or name another place with --data DIR"
        raise StoreLockedError(msg) from error
    try:
        yield store
    finally:
        store.close()
