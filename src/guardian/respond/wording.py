"""The words of a proposal: a button with object, scope and time, and its consequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.model.words import clean, counted, sentence_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from guardian.model.response import Target

SHOWN_NAMES = 3
"""Names written out; the rest is counted, and stands in the target."""

_BREAKAGE = {
    "none": "Nothing is known to break.",
    "feature": "One feature of it may stop working.",
    "device": "The device may stop working as usual.",
    "unknown": "What else needs these names is not known.",
}
_WORST = ("device", "unknown", "feature", "none")


def length(hours: int) -> str:
    """Return a duration as a button says it: ``24 h``, ``7 days``."""
    if hours > 24 and hours % 24 == 0:
        return f"{hours // 24} days"
    return f"{hours} h"


def title(
    target: Target, *, action: str, hours: int, device: str | None, companies: Iterable[str]
) -> str:
    """Return the button's text."""
    things = _things(target, companies)
    scope = clean(device, 40) if device and target.device_ips else "the whole house"
    verb = "Try blocking" if action == "dns_trial" else "Block"
    return f"{verb} {things} for {scope}, {length(hours)}"


def consequence(
    target: Target,
    *,
    hours: int,
    device: str | None,
    breakages: Iterable[str],
    forecast: Mapping[str, Any],
    days: int,
    enforcer: str | None,
    note: str = "",
) -> str:
    """Return what it touches, what may break, and that it ends by itself."""
    who = clean(device, 40) if device and target.device_ips else "Every device in the house"
    shown = [clean(item, 80) for item in (target.names or target.addresses)]
    listed = sentence_list(shown[:SHOWN_NAMES])
    if len(shown) > SHOWN_NAMES:
        listed = f"{', '.join(shown[:SHOWN_NAMES])} and {len(shown) - SHOWN_NAMES} more"
    if target.names:
        below = " (and what lies below)" if target.subdomains else ""
        parts = [f"{who} gets no address any more for {listed}{below}."]
    else:
        parts = [f"{who} cannot reach {listed} any more."]
    found = set(breakages) or {"unknown"}
    parts.append(_BREAKAGE[next(b for b in _WORST if b in found or b == "none")])
    if note:
        parts.append(note)
    parts.append(_looked_back(forecast, days))
    parts.append(
        "Connections that are open already go on until they end, and a device may remember an "
        "address for a while."
    )
    parts.append(f"It ends by itself after {length(hours)}, and can be undone at any time.")
    if enforcer is None:
        parts.append("Guardian can't do this yet: no resolver is set up for it.")
    return " ".join(parts)


def _things(target: Target, companies: Iterable[str]) -> str:
    items = target.names or target.addresses
    if len(items) == 1:
        return clean(items[0], 60)
    one = sorted({clean(company, 30) for company in companies})
    kind = "names" if target.names else "addresses"
    return f"{len(items)} {kind} of {one[0]}" if len(one) == 1 else f"{len(items)} {kind}"


def _looked_back(forecast: Mapping[str, Any], days: int) -> str:
    queries = int(forecast.get("queries", 0))
    if not queries:
        return f"In the {days} days before, nobody asked for these names."
    devices = counted(int(forecast["device_count"]), "device", "devices")
    asked = counted(queries, "question", "questions")
    return f"In the {days} days before, it would have stopped {asked} from {devices}."
