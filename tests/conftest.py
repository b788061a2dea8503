"""What all tests share: a store in memory or on disk, and the corpus where it exists."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import httpx
import hypothesis
import pytest

from fakes.shared import SHARED
from guardian.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# How long an example takes says how busy the machine is, and nothing about Guardian.
hypothesis.settings.register_profile(
    "patient",
    parent=hypothesis.settings.get_profile("ci" if os.environ.get("CI") else "default"),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")

# The client of the tests waits longer than httpx's five seconds. Guardian's own is another
# class (AsyncClient), whose calls say how long they wait.
for call in (httpx.get, httpx.post, httpx.request, httpx.Client.__init__):
    assert call.__kwdefaults__ is not None
    call.__kwdefaults__["timeout"] = httpx.Timeout(120.0)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty store: a copy takes a fifth of the time that making one takes."""
    folder = tmp_path_factory.mktemp("empty")
    Store.open(folder).close()
    (file,) = folder.iterdir()
    return file


@pytest.fixture
def store(tmp_path: Path, empty_store: Path) -> Iterator[Store]:
    """An empty store on disk."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copy(empty_store, folder)
    opened = Store.open(folder)
    yield opened
    opened.close()


@pytest.fixture
def memory_store() -> Iterator[Store]:
    """An empty store in memory."""
    opened = Store.memory()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared test material; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the shared corpus is not on this machine")
    return SHARED


@pytest.fixture(scope="session")
def corpus(shared: Path) -> Path:
    """The corpus of captures and logs."""
    return shared / "corpus"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs root for everybody else."""
    if os.geteuid() == 0:
        return
    skip = pytest.mark.skip(reason="needs root and network namespaces")
    for item in items:
        if "root" in item.keywords:
            item.add_marker(skip)
