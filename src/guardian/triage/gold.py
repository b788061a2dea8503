"""Score triage against a gold set: incidents whose verdict and words people agreed on.

The shipped set (``gold.jsonl``) holds scenes, one a line: a device, what the catalogue
knows, the findings, the verdict, and what the words must and must not say. What rules
were written with (``held_out`` false) is told apart from what was only measured.
Coverage (was there an answer) is kept apart from quality (was it right).
"""

from __future__ import annotations

import hashlib
import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.errors import InputError
from guardian.store import Store, incidents
from guardian.triage import prompt, stories
from guardian.triage.explain import explain_pending
from guardian.triage.gold_figures import Scored, coverage, figures
from guardian.triage.run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from guardian.model.incident import Incident
    from guardian.triage.settings import Settings

GOLD = Path(__file__).with_name("gold.jsonl")
"""Made-up scenes, written together with the rules: they guard against regressions."""

GOLD_CORPUS = Path(__file__).with_name("gold_corpus.jsonl")
"""Incidents of real captures and of wire scenes, with the verdict of the capture's label."""

SHIPPED = (GOLD, GOLD_CORPUS)
"""The gold sets that ship with Guardian."""

_BEGIN = datetime(2026, 10, 21, 19, 0)  # noqa: DTZ001 - the store's times are UTC


def load(*paths: Path) -> list[dict[str, Any]]:
    """Return the items of gold sets; without a path, of those that ship.

    Raises:
        InputError: one cannot be read; the message says which line.
    """
    return [item for path in paths or SHIPPED for item in _items(path)]


def _items(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}"
        raise InputError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not text: a gold set is lines of JSON"
        raise InputError(msg) from error
    items = []
    for number, line in enumerate(lines, start=1):
        try:
            item = _whole(json.loads(line))
            items.append(
                {
                    **item,
                    "held_out": bool(item.get("held_out")),
                    "accept": tuple(item.get("accept") or (item["verdict"],)),
                    "source": str(item.get("source", "scene")),
                }
            )
        except (ValueError, TypeError, KeyError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else error
            msg = f"{path}:{number}: not an item of a gold set: {why}"
            raise InputError(msg) from error
    return items


_PARTS: dict[str, type] = {
    "id": str, "device": dict, "hits": list, "findings": list, "verdict": str, "must": list,
    "must_not": list,
}  # fmt: skip
_OF_A_FINDING = ("class", "level", "peers", "at_s", "lasts_s", "count", "facts")
_OF_A_HIT = ("name", "class", "company", "service", "grade")


def _whole(item: Any) -> dict[str, Any]:
    """Return an item that has all its parts.

    Raises:
        KeyError, TypeError: one is missing, or is something else.
    """
    if not isinstance(item, dict):
        msg = "not an object"
        raise TypeError(msg)
    for name, kind in _PARTS.items():
        if not isinstance(item[name], kind):
            msg = f"{name!r} is no {kind.__name__}"
            raise TypeError(msg)
    parts = ((item["device"], ("name", "kind")), *((each, _OF_A_HIT) for each in item["hits"]),
             *((each, _OF_A_FINDING) for each in item["findings"]))  # fmt: skip
    for part, names in parts:
        for name in names:
            part[name]
    return item


async def evaluate(
    settings: Settings,
    *,
    items: Sequence[Mapping[str, Any]] | None = None,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> dict[str, Any]:
    """Tell every item, by the models of ``settings`` if there are any, and score.

    Without ``items`` those of the shipped sets are told. ``progress`` is called with how many
    are done and how many there are.

    Raises:
        InputError: the sets cannot be read.
        StoreError, ConfigError: as for ``triage.run``.
    """
    items = load() if items is None else items
    results: list[Scored] = []
    calls: list[dict[str, Any]] = []
    models: dict[str, str] = {}
    for done, item in enumerate(items, start=1):
        scored, asked, by = await _one(item, settings)
        results.append(scored)
        calls += asked
        models |= by
        progress(done, len(items))
    return {
        "set": _digest(items),
        "prompt_version": prompt.version(),
        "template_version": stories.version(),
        "models": models,
        "all": figures(results),
        "in_sample": figures([each for each in results if not each.held_out]),
        "held_out": figures([each for each in results if each.held_out]),
        "by_model": figures([each for each in results if each.by_model]),
        "by_source": {
            name: figures([each for each in results if each.source == name])
            for name in sorted({each.source for each in results})
        },
        "coverage": coverage(results, calls),
        "faults": [
            {"id": s.id, "accept": list(s.accept), "verdict": s.verdict, "incidents": s.incidents,
             "missing": list(s.missing), "wrong": list(s.wrong)}
            for s in results
            if not s.agreed or s.missing or s.wrong or s.incidents != 1
        ],
    }  # fmt: skip


def _digest(items: Sequence[Mapping[str, Any]]) -> str:
    text = "\n".join(json.dumps(dict(item), sort_keys=True, default=list) for item in items)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def _one(
    item: Mapping[str, Any], settings: Settings
) -> tuple[Scored, list[dict[str, Any]], dict[str, str]]:
    store = Store.memory()
    try:
        _furnish(store, item)
        began = time.monotonic()
        run(store, settings)
        seconds = time.monotonic() - began
        await explain_pending(store, settings)
        with store.read() as reader:
            found = incidents.incidents(reader)
            calls = reader.rows("SELECT outcome, seconds, tokens_in, tokens_out FROM model_call")
    finally:
        store.close()
    models = {str(each.model["digest"]): each.written_by for each in found if each.model}
    return _score(item, found, seconds), calls, models


def _furnish(store: Store, item: Mapping[str, Any]) -> None:
    device = item["device"]
    owner = "d1" if device["name"] else None
    with store.transaction() as tx:
        if owner:
            tx.execute(
                "INSERT INTO device (device_id, name, kind, first_seen, last_seen) "
                "VALUES ('d1', ?, ?, ?, ?)",
                [device["name"], device["kind"], _BEGIN - timedelta(days=99), _BEGIN],
            )
        for each in item["hits"]:
            tx.execute(
                "INSERT INTO name_hit (name, entry_id, class, company, service, purposes, grade, "
                "breakage, pattern) VALUES (?, ?, ?, ?, ?, ['telemetry'], ?, 'none', ?)",
                [each["name"], "gold", each["class"], each["company"], each["service"],
                 each["grade"], each["name"]],
            )  # fmt: skip
        for number, each in enumerate(item["findings"]):
            begins = _BEGIN + timedelta(seconds=each["at_s"])
            ends = begins + timedelta(seconds=each["lasts_s"])
            tx.execute(
                "INSERT INTO finding (id, class, level, detector, title, key, device_id, src_ip, "
                "peers, first_seen, last_seen, count, facts, evidence, tags, updated_at) "
                "VALUES (?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?, ?, ?, [], [], ?)",
                [f"f{number}", each["class"], each["level"], each["class"], f"k{number}", owner,
                 each.get("src_ip"), each["peers"], begins, ends, each["count"],
                 json.dumps(each["facts"]), ends],
            )  # fmt: skip


def _score(item: Mapping[str, Any], found: Sequence[Incident], seconds: float) -> Scored:
    first = found[0] if found else None
    said = "" if first is None else " ".join((first.title, first.summary, first.explanation))
    said = said.lower()
    known = set() if first is None else {fact.id for fact in first.facts}
    claims = () if first is None else first.claims
    return Scored(
        id=item["id"],
        source=item["source"],
        held_out=item["held_out"],
        accept=tuple(item["accept"]),
        verdict="" if first is None else first.verdict.value,
        incidents=len(found),
        missing=tuple(each for each in item["must"] if not _says(said, each)),
        wrong=tuple(each for each in item["must_not"] if _says(said, each)),
        claims=len(claims),
        grounded=sum(1 for claim in claims if claim.facts and set(claim.facts) <= known),
        written_by="" if first is None else first.written_by,
        seconds=seconds,
    )


def _says(said: str, wanted: str) -> bool:
    """Whether one of the alternatives in ``wanted`` occurs."""
    return any(each in said for each in wanted.lower().split("|"))
