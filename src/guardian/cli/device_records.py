"""Commands about devices and networks: each is one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.app.session import call
from guardian.cli.common import config_of
from guardian.cli.output import emit, say, write_json
from guardian.errors import UsageError
from guardian.model import words

if TYPE_CHECKING:
    import argparse

_FIELDS = ("name", "kind", "owner", "room", "segment", "model", "vendor")


def _ask(options: argparse.Namespace, what: str, **parameters: Any) -> Any:
    return call(config_of(options), what, **parameters)


def devices(options: argparse.Namespace) -> int:
    """Print what is in the house, and which two may be one."""
    rows = _ask(options, "devices")
    if options.format == "json":
        write_json(rows)
        return 0
    columns = ("id", "name", "kind", "vendor", "network", "addresses", "explained", "last_seen")
    shown = [
        {
            **row,
            "name": f"{row['name']} [Guardian itself]" if row["own"] else row["name"],
            "explained": _share(row["coverage"]),
        }
        for row in rows
    ]
    emit(options, shown, columns, empty="No devices seen yet.")
    for row in rows:
        for old in row["looks_like"]:
            say(f"\n{row['name']} looks like the old {old['name']}: {'; '.join(old['reasons'])}.")
            say(f"  yes: guardian device merge {row['id']} {old['id']}")
            say(f"  no:  guardian device apart {row['id']} {old['id']}")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print one device, with the reason for each thing held of it."""
    it = _ask(options, "device", device=options.device)
    if options.format == "json":
        write_json(it)
        return 0
    say(f"{it['name']} ({it['id']}), last seen {it['last_seen']}\n")
    if it["own"]:
        say("  This is Guardian itself: what it does is tagged, and never a finding.\n")
    for field in ("kind", "vendor", "model", "owner", "room", "segment", "mac"):
        if it.get(field):
            mark = " [locked]" if field in it["locked"] else ""
            say(f"  {field:>8}  {it[field]}{mark}  {it['reasons'].get(field, '')}")
    for address in it["address_history"]:
        state = "now" if address["held"] else f"until {address['seen']}"
        say(f"  address   {address['ip']}  {address['kind']}  since {address['since']}, {state}")
    for source, rows in it["identity"].items():
        say(f"  {source:>12}  {', '.join(row['value'] for row in rows[:5])}")
    if it["coverage"]:
        kinds = ", ".join(f"{how} {count:,}" for how, count in it["coverage"]["how"].items())
        say(f"  explained by the home's DNS: {_share(it['coverage'])} ({kinds})")
    for each in it["usual"]:
        state = "usual" if each["learned"] else f"learning until {each['until']}"
        say(f"  {each['metric']:>16}  {each['expected']:,.0f} {each['unit']}, {state}")
    for place in it["destinations"][:10]:
        said = f" (by {place['source']})" if place["source"] else ""
        say(f"  goes to  {place['name']}{said}: {place['flows']:,} flows")
    _whom_else(it)
    return 0


def _whom_else(it: dict[str, Any]) -> None:
    """Say what the device may be, and whom else it is or was."""
    for guess in it["may_be"] if it["kind"] == "unknown" else ():
        say(f"  may be a “{guess['device']}”, {guess['reason']}")
    for old in it["looks_like"]:
        say(f"  looks like the old {old['name']} ({old['id']}): {'; '.join(old['reasons'])}")
    for each in it["merged"]:
        say(f"  counts as this: {each['name']} ({each['device_id']}), {each['because']}")


def assign(options: argparse.Namespace) -> int:
    """Set what evidence cannot know; each is locked until it is unlocked."""
    values = {
        field: getattr(options, field) for field in _FIELDS if getattr(options, field) is not None
    }
    if not values:
        msg = f"say what to set: {', '.join('--' + field for field in _FIELDS)}"
        raise UsageError(msg)
    _print(options, _ask(options, "device_set", device=options.device, values=values))
    return 0


def unlock(options: argparse.Namespace) -> int:
    """Let evidence rule again."""
    values = dict.fromkeys(options.fields)
    _print(options, _ask(options, "device_set", device=options.device, values=values))
    return 0


def merge(options: argparse.Namespace) -> int:
    """Say that a new device is an old one."""
    said = _ask(options, "device_merge", device=options.device, into=options.into, same=True)
    say(f"{said['device']} counts as {said['into']}")
    say(f"undo it: guardian device split {said['device']}")
    return 0


def apart(options: argparse.Namespace) -> int:
    """Say that two devices are two."""
    said = _ask(options, "device_merge", device=options.device, into=options.into, same=False)
    say(f"{said['device']} is not {said['into']}; it is not asked again")
    return 0


def split(options: argparse.Namespace) -> int:
    """Take a merge back."""
    said = _ask(options, "device_split", device=options.device)
    say(f"{said['device']} stands for itself again, not for {said['from']}")
    return 0


def segments(options: argparse.Namespace) -> int:
    """Print the home's networks, or say what one is for."""
    if options.segment is None and (options.role is not None or options.name is not None):
        msg = "say which network: guardian segments 192.168.20.0/24 --role iot"
        raise UsageError(msg)
    rows = _ask(options, "segments", segment=options.segment, role=options.role, name=options.name)
    columns = ("cidr", "vlan", "name", "role", "said_by", "suggested", "devices", "prefixes")
    emit(options, rows, columns, empty="No network was seen yet.")
    return 0


def _print(options: argparse.Namespace, device: dict[str, Any]) -> None:
    if options.format == "json":
        write_json(device)
        return
    locked = ", ".join(device["locked"]) or "nothing"
    kind = words.device_kind(device["kind"]) or "of no known type"
    say(f"{device['id']} is {device['name']}, {kind}; locked: {locked}")


def _share(coverage: dict[str, Any] | None) -> str:
    if coverage is None or coverage["share"] is None:
        return "—"
    return f"{100 * coverage['share']:.0f} %"
