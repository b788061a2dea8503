"""Commands that show what is stored, or answer a proposal: each is one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.app.session import call
from guardian.cli.common import config_of, duration
from guardian.cli.output import emit, say, write_json

if TYPE_CHECKING:
    import argparse


_KEPT_UNDER = {
    "digest": "model", "prompt_version": "prompt", "request": "request", "packet": "packet",
}  # fmt: skip
"""What a model's answer is kept under, and the packet that its slots were filled from."""


def _ask(options: argparse.Namespace, what: str, **parameters: Any) -> Any:
    return call(config_of(options), what, **parameters)


def findings(options: argparse.Namespace) -> int:
    """Print what detectors said."""
    rows = _ask(
        options,
        "findings",
        finding_class=options.finding_class,
        level=options.level,
        device=options.device,
        limit=options.limit,
    )
    columns = ("id", "level", "class", "device", "src_ip", "peers", "count", "last_seen")
    emit(options, rows, columns, empty="No findings.")
    return 0


def incidents(options: argparse.Namespace) -> int:
    """Print what happened."""
    rows = _ask(options, "incidents", status=options.status, limit=options.limit)
    columns = ("id", "verdict", "level", "title", "last_seen", "status", "proposals")
    emit(options, rows, columns, empty="No incidents. The house is quiet.")
    return 0


def proposals(options: argparse.Namespace) -> int:
    """Print what could be done, and what was."""
    columns = ("id", "incident_id", "status", "state", "title", "would_have", "ends_at")
    rows = _ask(options, "proposals", status=options.status)
    for row in rows:
        row["would_have"] = " ".join((row.get("replayed") or {}).get("told", [])) or None
    emit(options, rows, columns, empty="Nothing needs your answer.")
    return 0


def explain(options: argparse.Namespace) -> int:
    """Print one incident with its facts, verdict, explanation and evidence."""
    incident = _ask(options, "explain", incident=options.incident)
    if options.format == "json":
        write_json(incident)
        return 0
    say(f"{incident['title']}\n{incident['verdict']}, {incident['level']}\n")
    say(f"{incident['explanation']}\n")
    say(f"What you can do: {' '.join(incident['todo'])}\n")
    for cause in incident["causes"]:
        say(f"  likely: {cause['text']} ({', '.join(cause['facts'])})")
    for fact in incident["facts"]:
        say(f"  {fact['id']:>4}  {fact['text']}")
    model = incident["model"] or {}
    if model.get("instead_of"):
        say(f"\nNot asked: {'; '.join(model['instead_of'])}")
    kept = [f"{name} {model[key]}" for key, name in _KEPT_UNDER.items() if model.get(key)]
    if kept:
        say(f"\nKept under: {', '.join(kept)}")
    say(f"\nWords by {incident['written_by']}. Evidence: {len(incident['evidence'])} rows.")
    for proposal in incident["proposals"]:
        say(f"Proposal {proposal}: guardian approve {proposal}")
    return 0


def status(options: argparse.Namespace) -> int:
    """Print what is stored and how Guardian is."""
    emit(options, _ask(options, "status"))
    return 0


def rename(options: argparse.Namespace) -> int:
    """Give a device its name."""
    device = _ask(options, "rename", device=options.device, new_name=options.name)
    say(f"{device['id']} is {device['name']}")
    return 0


def answer(options: argparse.Namespace) -> int:
    """Say yes or no to a proposal, or undo it."""
    proposal = _ask(options, "answer", proposal=options.proposal, verb=options.verb)
    if options.format == "json":
        write_json(proposal)
    else:
        say(f"{proposal['title']}: {proposal.get('state') or proposal['status']}")
        if proposal.get("error"):
            say(proposal["error"])
    return 1 if proposal.get("state") == "failed" else 0


def digest(options: argparse.Namespace) -> int:
    """Print the letter of the night, or send it."""
    since = duration(options.since).total_seconds()
    letter = _ask(options, "digest", since_s=since, deliver=options.send)
    if options.format == "json":
        write_json(letter)
    else:
        say(letter["html"] if options.html else letter["text"])
    for channel, sent in (letter["sent"] or {}).items():
        say(f"{channel}: {'sent' if sent else 'NOT sent'}")
    return 0 if all((letter["sent"] or {}).values()) else 1


def indicators_load(options: argparse.Namespace) -> int:
    """Load a threat-intel list from a file."""
    name = options.list_name or options.file.stem
    loaded = _ask(
        options,
        "load_indicators",
        path=str(options.file.resolve()),
        list_name=name,
        licence=options.licence,
    )
    refused = f"; {loaded['refused']:,} lines are none" if loaded["refused"] else ""
    say(f"{name}: {loaded['indicators']:,} indicators{refused}")
    return 0


def indicator_lists(options: argparse.Namespace) -> int:
    """List the threat lists that are loaded."""
    columns = ("list", "entries", "refused", "licence", "age_days", "loaded_at", "sha256", "origin")
    emit(options, _ask(options, "indicator_lists"), columns, empty="No list is loaded.")
    return 0


def ask(options: argparse.Namespace) -> int:
    """Answer a question about the house from its rows, or print what can be asked."""
    answer = _ask(options, "ask", question=" ".join(options.question))
    if options.format == "json":
        write_json(answer)
    elif "menu" in answer:
        emit(options, answer["menu"], ("name", "title", "takes"))
    else:
        say(answer["text"])
        if answer["understood_by"] != "words":
            say(f"Read by {answer['understood_by']} as: {answer['question']}")
        if answer["rows"]:
            emit(options, answer["rows"], answer["columns"])
    return 0


def feedback(options: argparse.Namespace) -> int:
    """Keep whether an incident was told right."""
    kept = _ask(
        options,
        "feedback",
        incident=options.incident,
        answer=options.answer,
        reason=options.reason,
    )
    say(f"Noted as answer {kept['id']}; it counts from now on.")
    for offer in kept["offers"]:
        say(
            f"Said twice: hide it with: guardian suppress --class {offer['finding_class']} "
            f"--device {offer['device_id']} --reason '{offer['reason']}'"
        )
    return 0


def export_training(options: argparse.Namespace) -> int:
    """Print accepted explanations as chat-format JSON lines."""
    for line in _ask(options, "export_training"):
        print(line)
    return 0


def suppress(options: argparse.Namespace) -> int:
    """Hide findings, for a while or for good, or say what that would hide."""
    report = _ask(
        options,
        "suppress",
        finding_class=options.finding_class,
        device=options.device,
        domain=options.domain,
        subdomains=not options.exact,
        address=options.address,
        signature_id=options.signature,
        reason=options.reason,
        days=options.days,
        dry_run=options.dry_run,
    )
    if options.format == "json":
        write_json(report)
        return 0
    verb = "would hide" if options.dry_run else f"suppression {report['id']} hides"
    say(
        f"Of the last 30 days it {verb} {report['findings']:,} findings and "
        f"{report['incidents']:,} whole incidents."
    )
    for example in report["examples"]:
        say(f"  {example}")
    return 0


def suppressions(options: argparse.Namespace) -> int:
    """Print what is hidden, by whom, why and until when."""
    columns = (
        "id",
        "class",
        "device_id",
        "domain",
        "address",
        "signature_id",
        "reason",
        "author",
        "expires_at",
    )
    emit(options, _ask(options, "suppressions"), columns, empty="Nothing is hidden.")
    return 0


def unsuppress(options: argparse.Namespace) -> int:
    """Show again what a suppression hid."""
    _ask(options, "unsuppress", number=options.number)
    say(f"suppression {options.number} is lifted; what it hid is back")
    return 0
