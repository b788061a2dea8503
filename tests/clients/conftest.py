"""A Pi-hole to talk to, checked against its published description where that is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.openapi import described
from fakes.pihole import Pihole
from fakes.shared import SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.openapi import Description


@pytest.fixture(scope="session")
def pihole_description() -> Description | None:
    """Pi-hole's own description of its API, or None where it is absent."""
    main = SHARED / "corpus" / "pihole" / "openapi" / "main.yaml"
    return described(main)


@pytest.fixture
def pihole(pihole_description: Description | None) -> Iterator[Pihole]:
    """One with a password; the test fails if an exchange is not as described."""
    server = Pihole(description=pihole_description, world={"tracker.example": "203.0.113.5"})
    yield server
    server.close()
    assert server.violations == []
