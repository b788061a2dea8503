"""The whole way round, with real parts: seen on the wire, approved, blocked, proved, undone."""

from __future__ import annotations

import logging
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from closed_loop.house import WORLD, House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = logging.getLogger(__name__)
TRACKER = "acr-eu-prd.samsungcloud.tv"
"""A name of the catalogue that a television's content recognition reports to."""

pytestmark = pytest.mark.root


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as built:
        yield built


def proposals(house: House) -> list[dict[str, Any]]:
    return house.api("GET", "/api/proposals") or []


def state(house: House) -> str | None:
    found = proposals(house)
    return found[0]["state"] if found else None


def test_a_tracker_is_seen_approved_blocked_proved_and_given_back(house: House) -> None:
    house.start_guardian()
    assert house.resolve(TRACKER) == [WORLD]
    house.call(TRACKER, WORLD)

    took = {"incident_s": house.until("an incident", lambda: proposals(house))}
    (incident,) = house.api("GET", "/api/incidents")
    assert incident["verdict"] == "surveillance"
    assert "acr" in incident["classes"]
    (proposal,) = proposals(house)
    assert proposal["incident_id"] == incident["id"]
    assert TRACKER in proposal["title"]
    assert proposal["status"] == "proposed"

    began = time.monotonic()
    house.api("POST", f"/api/proposals/{proposal['id']}/approve")
    house.until("the proof", lambda: state(house) == "verified")
    took["verified_s"] = time.monotonic() - began
    assert house.resolve(TRACKER) == ["0.0.0.0"]
    assert house.resolve(TRACKER, "AAAA") == ["::"]
    assert house.resolve("other.example") == [WORLD]
    found = proposals(house)
    assert len(found) == 1, found
    (enforced,) = found[0]["enforcements"]
    assert [step["state"] for step in enforced["steps"]] == ["asked", "applied", "verified"]
    assert enforced["proof"]["holds"]
    assert any(a["values"] == ["0.0.0.0"] for a in enforced["proof"]["answers"])

    began = time.monotonic()
    house.api("POST", f"/api/proposals/{proposal['id']}/revert")
    house.until("the answer back", lambda: state(house) == "reverted")
    took["reverted_s"] = time.monotonic() - began
    assert house.resolve(TRACKER) == [WORLD]
    assert len(proposals(house)) == 1, "Guardian's own questions accuse nobody"
    assert house.stop_guardian() == 0
    LOG.info("closed loop, seconds: %s", {name: round(s, 2) for name, s in took.items()})


def test_a_killed_guardian_takes_up_where_it_was(house: House) -> None:
    house.start_guardian()
    house.resolve(TRACKER)
    house.call(TRACKER, WORLD)
    house.until("an incident", lambda: proposals(house))
    house.api("POST", "/api/proposals/1/approve")
    house.until("the proof", lambda: state(house) == "verified")
    house.stop_guardian(signal.SIGKILL)
    assert house.resolve(TRACKER) == ["0.0.0.0"], "a dead Guardian leaves the block in place"

    (house.folder / "dns" / "hosts").write_text("")
    house.start_guardian(check_interval_s=1.0)
    house.until("the lost line again", lambda: house.resolve(TRACKER) == ["0.0.0.0"])
    house.until("the proof", lambda: state(house) == "verified")
    house.api("POST", "/api/proposals/1/revert")
    house.until("the answer back", lambda: house.resolve(TRACKER) == [WORLD])
    house.until("the record of it", lambda: state(house) == "reverted")
