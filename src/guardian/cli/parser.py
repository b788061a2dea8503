"""The commands and their options; stable, because scripts rely on them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from guardian import __version__
from guardian.cli.common import finding_class, number, whole
from guardian.cli.parser_devices import add_devices
from guardian.model.finding import Level

_BENCHES = {
    "ingest": "a source into the store, against merely reading it",
    "replay": "a capture through Guardian, against Suricata alone",
    "latency": "from a line of Suricata's log to the page, under load",
    "query": "the page's queries over many rows",
    "detect": "all detectors over a day of rows",
    "intel": "a day of rows against very large threat lists",
    "lists": "compile and look up blocked names",
    "triage": "alerts into incidents",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``guardian``."""
    parser = argparse.ArgumentParser(
        prog="guardian",
        description="A home network security appliance. Nothing leaves the house.",
    )
    parser.add_argument("--version", action="version", version=f"guardian {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (
        _running,
        _records,
        add_devices,
        _answers,
        _talking,
        _hiding,
        _knowledge,
        _measuring,
        _keeping,
    ):
        add(commands)
    return parser


def _command(
    commands: Any,
    name: str,
    run: str,
    text: str,
    *,
    form: bool = False,
) -> argparse.ArgumentParser:
    """Add one command with the options that every command has.

    ``run`` is ``module:function`` below ``guardian.cli``, imported only when it runs.
    """
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    command.add_argument("--data", type=Path, help="the data directory")
    command.add_argument("--config", type=Path, help="the configuration file")
    command.add_argument("-v", "--verbose", action="store_true", help="say more on standard error")
    if form:
        command.add_argument("--format", choices=("table", "json"), default="table")
    return command


def _running(commands: Any) -> None:
    demo = _command(commands, "demo", "running:demo", "replay the bundled evening, then serve")
    demo.add_argument("--no-serve", action="store_true", help="end after the digest")
    demo.add_argument("--listen", default="127.0.0.1:8480", metavar="ADDRESS:PORT")
    daemon = _command(commands, "run", "running:run", "the daemon")
    for name in ("eve", "pihole-log", "pihole-db"):
        daemon.add_argument(f"--{name}", type=Path, action="append", default=[], metavar="PATH")
    daemon.add_argument(
        "--read",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="any other log; its kind is detected",
    )
    daemon.add_argument(
        "--interface",
        action="append",
        default=[],
        metavar="IF",
        help="watch this mirrored port with Suricata",
    )
    daemon.add_argument("--listen", metavar="ADDRESS:PORT")
    replay = _command(
        commands, "replay", "running:replay", "read captures and logs once", form=True
    )
    replay.add_argument("inputs", type=Path, nargs="+", metavar="INPUT")


def _records(commands: Any) -> None:
    findings = _command(commands, "findings", "records:findings", "what detectors said", form=True)
    findings.add_argument("--class", dest="finding_class", type=finding_class, metavar="CLASS")
    findings.add_argument("--level", choices=[*Level], metavar="LEVEL", help="this or above")
    findings.add_argument("--device", help="a device's id or name")
    findings.add_argument("--limit", type=number, default=1000)
    incidents = _command(commands, "incidents", "records:incidents", "what happened", form=True)
    incidents.add_argument("--status", choices=("open", "noted", "quiet", "handled", "closed"))
    incidents.add_argument("--limit", type=number, default=200)
    _command(commands, "devices", "device_records:devices", "what is in the house", form=True)
    proposals = _command(
        commands, "proposals", "records:proposals", "what could be done", form=True
    )
    proposals.add_argument("--status", choices=("proposed", "approved", "rejected", "withdrawn"))
    privacy = _command(commands, "privacy", "privacy:privacy", "who is told what", form=True)
    privacy.add_argument("--habits", action="store_true", help="learned rhythms and their changes")
    privacy.add_argument("--models", action="store_true", help="who asks language models")
    privacy.add_argument("--since", default="24h", help="how far back: 90m, 24h, 7d")
    explain = _command(commands, "explain", "records:explain", "one incident, whole", form=True)
    explain.add_argument("incident", type=number)
    packets = _command(commands, "evidence", "packets:evidence", "an incident's packets", form=True)
    packets.add_argument("incident", type=number)
    packets.add_argument("--out", type=Path, metavar="FILE", help="write them as a pcap")
    packets.add_argument("--packet", type=number, metavar="N", help="one packet's layers")
    _command(commands, "status", "records:status", "what is stored and how Guardian is", form=True)
    optout = _command(
        commands, "opt-out", "privacy:opt_out", "did switching it off work?", form=True
    )
    optout.add_argument("--device", help="with --class: note that a person switched it off")
    optout.add_argument("--class", dest="finding_class", type=finding_class, metavar="CLASS")
    optout.add_argument("--on", metavar="YYYY-MM-DD", help="the day (and time) it was switched off")
    optout.add_argument("--company", help="only that company's")
    optout.add_argument("--withdraw", type=number, metavar="ID", help="stop checking this one")
    optout.add_argument("--note", default="")
    away = _command(commands, "away", "privacy:away", "nobody is home, or is again", form=True)
    away.add_argument("--back", action="store_true", help="somebody is home again")
    away.add_argument("--since", metavar="TIME", help="default: now")
    away.add_argument("--until", metavar="TIME", help="default: until --back")
    rename = _command(commands, "rename", "records:rename", "give a device its name")
    rename.add_argument("device")
    rename.add_argument("name")


def _answers(commands: Any) -> None:
    for verb, text in (
        ("approve", "say yes to a proposal"),
        ("reject", "say no to a proposal"),
        ("revert", "undo what a proposal did"),
    ):
        command = _command(commands, verb, "records:answer", text, form=True)
        command.set_defaults(verb=verb)
        command.add_argument("proposal", type=number, metavar="ID")
    digest = _command(commands, "digest", "records:digest", "the letter of the night", form=True)
    digest.add_argument("--since", default="24h", help="how far back: 90m, 24h, 7d")
    digest.add_argument("--html", action="store_true", help="print the HTML form")
    digest.add_argument("--send", action="store_true", help="send it to the configured channels")


def _talking(commands: Any) -> None:
    ask = _command(commands, "ask", "records:ask", "ask about the house", form=True)
    ask.add_argument("question", nargs="*", help="without one: what can be asked")
    feedback = _command(commands, "feedback", "records:feedback", "say whether it was right")
    feedback.add_argument("incident", type=number)
    feedback.add_argument("answer", choices=("right", "wrong", "expected"))
    feedback.add_argument("--reason", default="")
    sent = commands.add_parser("overflow", help="what left the house").add_subparsers(
        metavar="WHAT", required=True
    )
    _command(sent, "list", "overflow:listing", "requests to a model elsewhere", form=True)
    show = _command(sent, "show", "overflow:show", "one of them, byte for byte", form=True)
    show.add_argument("number", type=number, metavar="ID")
    export = commands.add_parser("export", help="take out what was learnt").add_subparsers(
        metavar="WHAT", required=True
    )
    _command(export, "training", "records:export_training", "accepted explanations as JSONL")
    _command(export, "gold", "quality:export_gold", "answered incidents, as a gold set")


def _hiding(commands: Any) -> None:
    suppress = _command(commands, "suppress", "records:suppress", "hide findings", form=True)
    suppress.add_argument("--class", dest="finding_class", type=finding_class, metavar="CLASS")
    suppress.add_argument("--device", help="a device's id or name")
    suppress.add_argument("--domain", help="with the names below it")
    suppress.add_argument("--exact", action="store_true", help="only --domain itself")
    suppress.add_argument("--address")
    suppress.add_argument("--signature", type=number, metavar="ID")
    suppress.add_argument("--reason", required=True)
    suppress.add_argument("--days", type=number, help="default: for good")
    suppress.add_argument("--dry-run", action="store_true", help="only say what it would hide")
    _command(commands, "suppressions", "records:suppressions", "what is hidden", form=True)
    lift = _command(commands, "unsuppress", "records:unsuppress", "show it again")
    lift.add_argument("number", type=number, metavar="ID")


def _knowledge(commands: Any) -> None:
    lists = commands.add_parser("lists", help="what is known of names").add_subparsers(
        metavar="WHAT", required=True
    )
    build = _command(lists, "build", "blocklists:build", "make the blocklists", form=True)
    build.add_argument("--out", type=Path, help="where to; default DATA/lists")
    build.add_argument("--offline", action="store_true", help="fetch nothing, use the copies")
    show = _command(lists, "show", "blocklists:show", "the lists and their sources", form=True)
    show.add_argument("--out", type=Path, help="where they were built; default DATA/lists")
    accept = _command(lists, "accept", "blocklists:accept", "believe a source held back", form=True)
    accept.add_argument("source", metavar="SOURCE")
    accept.add_argument("--out", type=Path, help="where it was built; default DATA/lists")
    explain = _command(lists, "explain", "blocklists:explain", "what a name is", form=True)
    explain.add_argument("name", metavar="DOMAIN")
    rules = commands.add_parser("rules", help="detections").add_subparsers(
        metavar="WHAT", required=True
    )
    _command(rules, "lint", "offline:rules_lint", "check every rule and the catalogue")
    update = _command(rules, "update", "offline:rules_update", "fetch, test and use signatures")
    update.add_argument("--file", type=Path, help="an archive or .rules file instead of the net")
    parsers = commands.add_parser("parsers", help="log formats").add_subparsers(
        metavar="WHAT", required=True
    )
    test = _command(parsers, "test", "offline:parsers_test", "try a log format, or a log file")
    test.add_argument("file", type=Path, help="a format (.toml), or a log for all formats")
    test.add_argument("log", type=Path, nargs="?", help="a log to read with that format")
    indicators = commands.add_parser("indicators", help="threat-intel lists").add_subparsers(
        metavar="WHAT", required=True
    )
    load = _command(indicators, "load", "records:indicators_load", "load a list from a file")
    load.add_argument("file", type=Path)
    load.add_argument("--list", dest="list_name", help="its name; default the file's")
    load.add_argument("--licence", help="where its head does not say it")
    _command(indicators, "list", "records:indicator_lists", "what is loaded", form=True)


def _measuring(commands: Any) -> None:
    evaluate = _command(commands, "eval", "measure:evaluate", "score a labelled corpus", form=True)
    evaluate.add_argument("corpus", type=Path, nargs="?")
    evaluate.add_argument("--triage", action="store_true", help="score verdicts and explanations")
    evaluate.add_argument("--only", help="only entries whose file contains this text")
    evaluate.add_argument(
        "--scenes", action="store_true", help="score surveillance on made captures of known truth"
    )
    evaluate.add_argument("--seeds", type=number, default=1, help="with --scenes: how many of each")
    evaluate.add_argument("--keep", type=Path, metavar="DIR", help="with --scenes: keep captures")
    evaluate.add_argument(
        "--gold", type=Path, metavar="FILE", help="write the corpus's stories as a gold set"
    )
    _command(commands, "quality", "quality:quality", "how well stories are told", form=True)
    bench = commands.add_parser("bench", help="measure this machine").add_subparsers(
        metavar="WHAT", required=True
    )
    for name, text in _BENCHES.items():
        command = _command(bench, name, "measure:bench", text)
        command.set_defaults(what=name)
        command.add_argument("--size", type=number, help="rows, events or names to measure with")
        if name == "ingest":
            kinds = ("eve", "pihole-db", "pihole-log", "zeek", "zeek-json", "all")
            command.add_argument("--kind", choices=kinds, help="what is read; default eve")
            command.add_argument("--format", choices=("json", "table"), default="json")
        if name == "triage":
            command.add_argument("--server", metavar="URL", help="a machine with a model")
            command.add_argument("--model", help="the model's name there")
            command.add_argument("--kind", choices=("ollama", "openai-compatible"))
            command.add_argument("--ask", type=whole, help="incidents to tell; 0: no model")


def _keeping(commands: Any) -> None:
    _command(commands, "doctor", "offline:doctor", "check what Guardian needs", form=True)
    _command(commands, "password", "offline:password", "set the page's password")
    _command(commands, "config", "offline:show_config", "print the configuration in force")
    backup = _command(commands, "backup", "keeping:backup", "write one consistent file")
    backup.add_argument("file", type=Path)
    backup.add_argument("--encrypt", action="store_true", help="ask for a passphrase")
    restore = _command(commands, "restore", "keeping:restore", "put a backup in place")
    restore.add_argument("file", type=Path)
    restore.add_argument("--force", action="store_true", help="also over a store that is filled")
    for command in (backup, restore):
        command.add_argument(
            "--passphrase-file",
            type=Path,
            metavar="FILE",
            help="its first line; or set GUARDIAN_BACKUP_PASSPHRASE",
        )
