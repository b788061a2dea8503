"""The calls behind ``guardian privacy``, ``guardian opt-out`` and ``guardian away``."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from guardian import config, detect
from guardian.app.service import Service
from guardian.cli.parser import build_parser
from guardian.detect import engine
from guardian.errors import InputError, UsageError
from guardian.lab.scene_rows import Scene
from guardian.store import Store
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TV = "192.168.7.20"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    scene = Scene(start=utc_now() - timedelta(hours=5))
    scene.device(TV, "8c:ea:48:10:20:30", name="Living room TV")
    for index in range(200):
        scene.connect(
            TV, "198.51.100.10", index * 60.0, up=2000, down=300, name="acr-us-prd.samsungcloud.tv"
        )
    scene.connect(TV, "198.51.100.60", 600, up=9000, down=900, name="api.openai.com")
    store = Store.memory()
    scene.commit(store)
    every, _ = engine.detectors(detect.Settings())
    detect.run(store, detect.Settings(disabled=tuple(each.name for each in every)))
    folder: Path = tmp_path_factory.mktemp("data")
    settings = dataclasses.replace(config.Config(data=folder))
    yield Service(store=store, config=settings)
    store.close()


def test_the_ledger_and_the_models(service: Service) -> None:
    rows = {row["company"]: row for row in service.call("privacy", {"since_s": 86400})}
    assert (rows["Samsung"]["contacts"], rows["Samsung"]["country"]) == (200, "KR")
    assert rows["Samsung"]["first_seen"].endswith("Z")
    (model,) = service.call("models", {"since_s": 86400})
    assert (model["company"], model["way"], model["thing"]) == ("OpenAI", "API", True)
    assert service.call("habits", {}) == {"learned": [], "like": [], "changed": []}


def test_what_was_switched_off_is_noted_and_withdrawn(service: Service) -> None:
    what = {"device": "Living room TV", "finding_class": "acr", "company": "Samsung"}
    day = (utc_now() - timedelta(hours=1)).isoformat(timespec="minutes") + "+00:00"
    (row,) = service.call("opt_out", {**what, "day": day})
    assert (row["device"], row["company"], row["answer"]) == (
        "Living room TV",
        "Samsung",
        "too early",
    )
    assert service.call("opt_out", {"withdraw": row["id"]}) == []
    with pytest.raises(InputError, match="nothing that is checked has the number"):
        service.call("opt_out", {"withdraw": row["id"]})
    with pytest.raises(InputError, match="lies ahead"):
        service.call("opt_out", {**what, "day": "2999-01-01"})
    with pytest.raises(InputError, match="nothing called"):
        service.call("opt_out", {**what, "finding_class": "c2_beacon", "day": day})
    with pytest.raises(UsageError, match="neither a day nor a time"):
        service.call("opt_out", {**what, "day": "last week"})
    with pytest.raises(UsageError, match="all three"):
        service.call("opt_out", {"device": "Living room TV"})
    assert service.call("opt_out", {}) == []


def test_being_away_is_a_word(service: Service) -> None:
    since = (utc_now() - timedelta(hours=6)).isoformat() + "+00:00"
    assert service.call("away", {"since": since})["away"] is True
    rows = service.call("privacy", {"since_s": 86400})
    assert {row["away_share"] for row in rows} == {1.0}
    assert service.call("away", {"back": True}) == {"ended": 1, "away": False}


@pytest.mark.parametrize(
    "line",
    [
        ["privacy", "--models"], ["privacy", "--habits"], ["opt-out", "--withdraw", "3"],
        ["away", "--back"], ["eval", "--scenes", "--seeds", "2"],
    ],
)  # fmt: skip
def test_the_commands_are_known(line: list[str]) -> None:
    options = build_parser().parse_args(line)
    assert ":" in options.run
