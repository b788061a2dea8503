"""Every scene with known truth gives exactly its classes, and each double gives none."""

from __future__ import annotations

import tomllib

import pytest

from guardian import detect, resources
from guardian.detect.rules import load_rules
from guardian.intel import fingerprints
from guardian.lab import surveillance
from guardian.lab.scene_rows import Scene
from guardian.lab.scenes_surveillance import JUDGED, SCENES, Told
from guardian.store import Store


@pytest.mark.parametrize("told", SCENES, ids=lambda told: told.name)
def test_scene(told: Told) -> None:
    classes, detectors = surveillance.play(told, seed=11)
    assert classes & set(JUDGED) == told.truth
    assert classes <= told.truth | {"c2_beacon", "new_device", "new_destination"}
    for field, detector in surveillance.DETECTORS.items():
        truth = getattr(told, field)
        assert truth is None or truth == (detector in detectors), detector


def findings(scene: Scene, *, times: int = 1) -> list[dict[str, object]]:
    store = Store.memory()
    scene.commit(store)
    for _ in range(times):
        detect.run(store, detect.Settings())
    detect.run(store, detect.Settings(), full=True)
    with store.read() as reader:
        rows = reader.rows(
            "SELECT class, level, count, facts ->> '$.certainty' AS certainty, "
            "(facts ->> '$.sessions')::INT AS sessions "
            "FROM finding WHERE detector LIKE 'surveillance.%' ORDER BY key"
        )
    store.close()
    return rows


TV = "192.168.7.20"


def tv(every_s: float, count: int) -> Scene:
    scene = Scene()
    scene.device(TV, "8c:ea:48:10:20:30", name="Samsung TV")
    for index in range(count):
        scene.connect(TV, "198.51.100.10", 10 + index * every_s, up=2600, down=900,
                      name="acr-us-prd.samsungcloud.tv")  # fmt: skip
    return scene


@pytest.mark.parametrize(
    ("every_s", "count", "certainty"),
    [(60, 40, "validated"), (15, 40, "validated"), (250, 20, "likely"), (60, 3, "likely")],
)
def test_certainty_of_recognition(every_s: float, count: int, certainty: str) -> None:
    (found,) = findings(tv(every_s, count))
    assert (found["class"], found["certainty"]) == ("acr", certainty)
    assert (found["level"], found["count"]) == ("medium", count)


def test_looking_twice_changes_nothing() -> None:
    assert findings(tv(60, 40), times=3) == findings(tv(60, 40))


def test_sittings_are_told_apart() -> None:
    scene = Scene()
    scene.device("192.168.7.24", "f0:18:98:10:20:30", name="Annas-MacBook")
    for sitting in range(3):
        for index in range(5):
            scene.connect("192.168.7.24", "198.51.100.60", sitting * 7200 + index * 40, up=9000,
                          down=900, name="api.openai.com")  # fmt: skip
    (found,) = findings(scene)
    assert (found["class"], found["level"], found["sessions"]) == ("llm_api", "informational", 3)


def test_a_new_catalogue_looks_at_old_names_again() -> None:
    store = Store.memory()
    tv(60, 3).commit(store)
    detect.run(store, detect.Settings())
    with store.transaction() as tx:
        tx.execute("DELETE FROM name_hit")
        tx.execute("UPDATE setting SET value = '\"old\"' WHERE key = 'catalogue.digest'")
    detect.run(store, detect.Settings())
    with store.read() as reader:
        assert reader.value("SELECT count(*) FROM name_hit") == 1
        assert reader.value("SELECT count(*) FROM periodic_fingerprint") > 300
    store.close()


def test_measured_rhythms_explain() -> None:
    assert {row.device for row in fingerprints.explain("m2.tuyaus.com", 60.4)} >= {"gosund-bulb1"}
    assert fingerprints.explain("m2.tuyaus.com", 75) == ()
    assert fingerprints.explain("x.example", 60) == ()


def test_the_crawler_rule_knows_the_whole_list() -> None:
    listed = tomllib.loads(resources.path("blocklists/crawlers.toml").read_text())["crawler"]
    rules = load_rules([resources.path("rules/detect")]).rules
    rule = next(rule for rule in rules if rule.name == "surveillance.ai_crawler")
    assert rule.parameters["tokens"].default == [row["token"] for row in listed]
