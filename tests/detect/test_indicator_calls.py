"""Lists are loaded and shown as the command line does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardian.app.service import Service
from guardian.config import Config

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store


def test_a_list_is_loaded_and_shown(memory_store: Store, tmp_path: Path) -> None:
    file = tmp_path / "bad.txt"
    file.write_text("# Licence: CC0-1.0\n# Updated: 2026-01-10\nevil.example\n198.51.100.0/24\n")
    service = Service(store=memory_store, config=Config())
    loaded = service.call("load_indicators", {"path": str(file), "list_name": "bad"})
    assert (loaded["indicators"], loaded["licence"]) == (2, "CC0-1.0")
    (row,) = service.call("indicator_lists", {})
    assert row["made_at"] == "2026-01-10T00:00:00Z"
    assert row["age_days"] > 0
    assert row["sha256"] == loaded["sha256"]
