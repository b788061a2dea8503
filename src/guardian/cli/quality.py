"""Commands about how well stories are told."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from guardian.app.session import call
from guardian.cli.common import config_of
from guardian.cli.output import emit, say, write_json
from guardian.triage import gold

if TYPE_CHECKING:
    import argparse

_ROWS = (
    ("agreement", "verdict is right"),
    ("recall", "alarms told as alarms"),
    ("false_positives", "quiet told as alarms"),
    ("says_what_it_must", "words say what they must"),
    ("says_nothing_wrong", "words say nothing wrong"),
    ("grounded_claims", "claims that rest on facts"),
    ("one_incident", "one story each"),
)


def evaluate(options: argparse.Namespace) -> int:
    """Score triage against gold sets, keep the score, and say what the gate says."""
    config = config_of(options)
    items = gold.load(options.corpus) if options.corpus else gold.load()
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("stories told", total=len(items))
        report = asyncio.run(
            gold.evaluate(
                config.triage,
                items=items,
                progress=lambda done, _: bar.update(task, completed=done),
            )
        )
    kept = call(config, "quality_save", scored=report)
    if options.format == "json":
        write_json(report | {"gates": kept["gates"]})
        return 0
    _figures(options, report)
    _gates(kept["gates"])
    return 0


def quality(options: argparse.Namespace) -> int:
    """Print how well stories are told: measured, and as people answered."""
    found = call(config_of(options), "quality")
    if options.format == "json":
        write_json(found)
        return 0
    if found["measured"] is None:
        say("Never measured here; measure it: guardian eval --triage")
    else:
        say(f"Measured {found['measured_at']}:")
        _figures(options, found["measured"])
    _gates(found["gates"])
    columns = ("class", "right", "wrong", "expected", "said")
    emit(options, found["answers"], columns, empty="Nobody has answered an incident yet.")
    covered = found["coverage"]
    say(f"Worded by a model in {covered['days']} days: {_share(covered['worded_by_model'])}")
    emit(
        options,
        covered["models"],
        ("model", "calls", "answered", "failed", "kept", "dropped", "tokens_per_s"),
        empty="No model was asked.",
    )
    return 0


def export_gold(options: argparse.Namespace) -> int:
    """Print the incidents that people answered, as items of a gold set of this house."""
    for item in call(config_of(options), "house_gold"):
        print(json.dumps(item, ensure_ascii=False))
    return 0


def _figures(options: argparse.Namespace, report: dict[str, Any]) -> None:
    parts = {"in sample": report["in_sample"], "held out": report["held_out"]}
    rows = [
        {"": text, **{name: _share(figures[key]) for name, figures in parts.items()}}
        for key, text in _ROWS
    ]
    rows.append({"": "kappa", **{name: figures["kappa"] for name, figures in parts.items()}})
    emit(options, rows, ("", *parts))
    covered = report["coverage"]
    say(
        f"{report['all']['n']} incidents {report['all']['verdicts']}; set {report['set']}, "
        f"prompt {report['prompt_version']}, templates {report['template_version']}"
    )
    models = ", ".join(f"{name} {digest[:12]}" for digest, name in report["models"].items())
    say(
        f"Words by {models or 'the template'}; by a model {_share(covered['by_model'])}; "
        f"{covered['calls']} calls, {covered['seconds']} s, {covered['tokens_in']} tokens in, "
        f"{covered['tokens_out']} out; rules and templates {covered['rules_s']} s"
    )
    for fault in report["faults"][:20]:
        say(f"  not right: {fault['id']}: {_fault(fault)}")


def _fault(fault: dict[str, Any]) -> str:
    parts = []
    if fault["verdict"] not in fault["accept"]:
        parts.append(f"called {fault['verdict'] or 'nothing'}, is {fault['accept'][0]}")
    if fault["missing"]:
        parts.append(f"does not say {', '.join(fault['missing'])}")
    if fault["wrong"]:
        parts.append(f"says {', '.join(fault['wrong'])}")
    if fault["incidents"] != 1:
        parts.append(f"{fault['incidents']} incidents")
    return "; ".join(parts)


def _gates(gates: list[dict[str, Any]]) -> None:
    for gate in gates:
        say(f"{gate['writer']} {gate['digest'][:12]}: {gate['state']}: {gate['text']}")


def _share(value: dict[str, Any]) -> str:
    if value["share"] is None:
        return "none"
    return f"{value['share']:.1%} of {value['of']} ({value['low']:.1%} to {value['high']:.1%})"
