"""The gate: evidence counts for one model and one prompt, and a worse switch is said."""

from __future__ import annotations

import asyncio
import copy
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from guardian import triage
from guardian.ops.health import health
from guardian.store import quality as kept
from guardian.store.ingest import utc_now
from guardian.triage import feedback, gold, gold_figures, gold_item, prompt, quality, stories
from triage.house import finding, furnish, write

if TYPE_CHECKING:
    from guardian.store import Store

SETTINGS = triage.Settings(timezone="UTC")


@pytest.fixture(scope="module")
def scored() -> dict[str, Any]:
    items = gold.load(gold.GOLD)[:4]
    return asyncio.run(gold.evaluate(SETTINGS, items=items))


def _by_model(report: dict[str, Any], digest: str, right: int, of: int = 40) -> dict[str, Any]:
    """Return the report as if a model's words had stood, so many of them right."""
    made = copy.deepcopy(report)
    made["models"] = {digest: "model-x"}
    for name in quality.WORDS:
        made["by_model"][name] = gold_figures.share(right, of)
    return made


def _endpoint(store: Store, digest: str) -> None:
    with store.transaction() as tx:
        tx.execute("DELETE FROM model_endpoint")
        tx.execute(
            "INSERT INTO model_endpoint (name, kind, role, model, url, state, digest, looked_at) "
            "VALUES ('gpu', 'ollama', 'deep', 'model-x', 'http://gpu:11434', 'loaded', ?, ?)",
            [digest, utc_now()],
        )


def _gates(store: Store) -> dict[str, str]:
    with store.read() as reader:
        return {gate.writer: gate.state for gate in quality.gates(reader)}


def test_nothing_measured_is_missing(store: Store) -> None:
    _endpoint(store, "aaa")
    assert _gates(store) == {"template": "missing", "model-x": "missing"}


def test_a_changed_template_or_prompt_asks_for_fresh_evidence(
    store: Store, scored: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _endpoint(store, "aaa")
    kept.save(store, scored, now=utc_now())
    kept.save(store, _by_model(scored, "aaa", 40), now=utc_now())
    assert _gates(store) == {"template": "fresh", "model-x": "fresh"}
    with monkeypatch.context() as patched:
        patched.setattr(prompt, "SYSTEM", prompt.SYSTEM + ".")
        prompt.version.cache_clear()
        assert _gates(store) == {"template": "fresh", "model-x": "stale"}
    prompt.version.cache_clear()
    monkeypatch.setattr(stories, "version", lambda: "another")
    assert _gates(store)["template"] == "stale"


def test_another_model_needs_its_own_evidence_and_a_worse_one_is_said(
    store: Store, scored: dict[str, Any]
) -> None:
    _endpoint(store, "bbb")
    kept.save(store, _by_model(scored, "aaa", 39), now=utc_now())
    assert _gates(store)["model-x"] == "missing"
    kept.save(store, _by_model(scored, "bbb", 20), now=utc_now())
    with store.read() as reader:
        gate = quality.gates(reader)[1]
    assert gate.state == "worse"
    assert "50% of 40, before 98% of 40" in gate.text
    assert "chance" not in gate.text
    kept.save(store, _by_model(scored, "ccc", 39), now=utc_now())
    _endpoint(store, "ccc")
    assert _gates(store)["model-x"] == "fresh"


def test_health_asks_only_where_a_model_was_ever_measured(
    store: Store, scored: dict[str, Any]
) -> None:
    _endpoint(store, "bbb")
    kept.save(store, scored, now=utc_now())

    def reasons() -> list[str]:
        found = health(store, running=False).reasons
        return [each.text for each in found if each.about == "model-x"]

    assert reasons() == []
    kept.save(store, _by_model(scored, "aaa", 39), now=utc_now())
    assert "never measured" in reasons()[0]
    kept.save(store, _by_model(scored, "bbb", 39), now=utc_now())
    assert reasons() == []


def test_a_small_loss_may_be_chance(store: Store, scored: dict[str, Any]) -> None:
    _endpoint(store, "bbb")
    kept.save(store, _by_model(scored, "aaa", 39), now=utc_now())
    kept.save(store, _by_model(scored, "bbb", 38), now=utc_now())
    with store.read() as reader:
        gate = quality.gates(reader)[1]
    assert (gate.state, "may be chance" in gate.text) == ("worse", True)


def test_the_report_keeps_coverage_apart_from_quality(store: Store, scored: dict[str, Any]) -> None:
    furnish(store)
    write(store, finding("c2_beacon", "laptop", "203.0.113.10", level="high", interval_s=60.0))
    triage.run(store, SETTINGS)
    with store.read() as reader:
        incident = reader.value("SELECT id FROM incident")
    feedback.give(store, incident, "right", actor="anna")
    feedback.give(store, incident, "wrong", actor="ben")
    kept.save(store, scored, now=utc_now())
    with store.read() as reader:
        found = quality.report(reader)
    assert found["right"]["share"] == 0.5
    assert found["right"]["low"] < 0.5 < found["right"]["high"]
    assert found["answers"][0]["class"] == "c2_beacon"
    assert found["coverage"]["models"] == []
    assert found["measured"]["all"]["n"] == 4


def test_answers_become_gold_items_of_the_house(store: Store) -> None:
    furnish(store)
    write(
        store,
        finding("c2_beacon", "laptop", "203.0.113.10", level="high", interval_s=60.0, calls=90),
        finding("port_scan", "camera", "192.168.30.9", at=9000, level="high", ports=300),
    )
    triage.run(store, SETTINGS)
    with store.read() as reader:
        rows = reader.rows("SELECT id, device_id, verdict FROM incident ORDER BY id")
    laptop = next(row for row in rows if row["device_id"] == "laptop")
    camera = next(row for row in rows if row["device_id"] == "camera")
    feedback.give(store, laptop["id"], "right", actor="anna")
    feedback.give(store, camera["id"], "right", actor="anna", now=utc_now() - timedelta(hours=1))
    feedback.give(store, camera["id"], "expected", actor="anna")
    with store.read() as reader:
        items = {item["id"]: item for item in gold_item.of_this_house(reader)}
    assert items[f"house-{laptop['id']}"]["accept"] == [laptop["verdict"]]
    assert items[f"house-{camera['id']}"]["accept"][0] == "benign"
    assert items[f"house-{laptop['id']}"]["device"]["name"] == "Anna's laptop"
    prepared = [{**item, "accept": tuple(item["accept"])} for item in items.values()]
    report = asyncio.run(gold.evaluate(SETTINGS, items=prepared))
    assert report["by_source"]["house"]["n"] == 2
    assert report["all"]["agreement"]["share"] == 0.5


def test_kappa_and_intervals_are_the_textbook_ones() -> None:
    # Wilson for 8 of 10 (Newcombe 1998); kappa 0.4 for 20/5/10/15 (Cohen's own kind of table).
    assert gold_figures.share(8, 10) == {"share": 0.8, "of": 10, "low": 0.4902, "high": 0.9433}
    pairs = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    assert gold_figures.kappa(pairs) == 0.4
    assert gold_figures.kappa([]) is None
