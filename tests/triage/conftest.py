"""What the triage tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from house import finding, furnish, write

from guardian import triage
from guardian.store import incidents

if TYPE_CHECKING:
    from guardian.model.incident import Incident
    from guardian.store import Store


@pytest.fixture
def home(memory_store: Store) -> Store:
    """A house with its devices and no findings."""
    furnish(memory_store)
    return memory_store


@pytest.fixture
def beacon(home: Store) -> Incident:
    """A laptop that calls an unknown server every minute."""
    write(
        home,
        finding("c2_beacon", "laptop", "evil-site.net", "185.10.68.22", level="high", calls=147,
                interval_s=60.0, jitter_share=0.018, bytes_up=1_200_000, bytes_down=3_400_000),
    )  # fmt: skip
    triage.run(home, triage.Settings(timezone="UTC"))
    with home.read() as reader:
        return incidents.incidents(reader)[0]
