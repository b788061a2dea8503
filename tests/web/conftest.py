"""The page served for real, on a port of the system's choosing."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from guardian.store.ingest import utc_now
from guardian.web import Settings, create_app
from web.seed import evening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guardian.store import Store

BASE = "http://127.0.0.1"


class Running:
    """A served page: its address, and how often it woke the daemon."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.woken = threading.Event()


@contextmanager
def serving(store: Store, **options: Any) -> Iterator[Running]:
    """Serve the page until the block ends."""
    running = Running("")
    settings = options.pop("settings", Settings(timezone="UTC", poll_s=1))
    app = create_app(store, settings, wake=running.woken.set, **options)
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)
    running.url = f"{BASE}:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.should_exit = True
        thread.join(60)


@pytest.fixture
def house(store: Store) -> Store:
    """A store with an evening that ends now."""
    evening(store, utc_now())
    return store


@pytest.fixture
def serve() -> Callable[..., Any]:
    """Serve a store's page."""
    return serving


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser of the system; tests that need it skip where it is absent."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed")
    return found
