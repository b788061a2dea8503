"""Check what a model wrote, sentence by sentence; what does not pass is never shown.

A sentence passes when all of it is checkable: its slots and fact ids exist, each word
outside its slots is one of a closed list of ordinary words (so that no host, company,
number or time can be made up), it says nothing against the verdict, names no action, and
rests on facts: its slots bring theirs, and a sentence without slots must speak of what
its cited facts are about.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardian.model.incident import Claim, Verdict
from guardian.triage import causes
from guardian.triage.prompt import MAX_CLAIMS, MAX_SENTENCE, slots
from guardian.triage.slots import NOUNS, SLOT, Filler, MissingSlotError
from guardian.triage.stories import TITLE_LENGTH, Told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from guardian.model.incident import Incident

MAX_REPLY = 16_384
"""Longest reply that is read, in characters."""

MIN_CLAIMS = 2
"""With fewer sentences left the template answers."""

MIN_WORDS = 3
"""A sentence with fewer words beside its slots says nothing."""

_VOCABULARY = Path(__file__).with_name("vocabulary.txt")
_WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")
_ALLOWED = re.compile(r"[A-Za-z ,;.'()-]*")
_DOTTED = re.compile(r"[A-Za-z]\.[A-Za-z]")

# Sentences that turn who did it to whom around.
_TURNED = re.compile(
    r"^\W*\{(?:peer_\d|whom|company)\}"
    r"|\b(?:to|at|into|against|contacted|called|reached|towards?|on) \{device\}"
    r"|\b(?:by|from) \{(?:peer_\d|whom)\}"
)
# Words before a slot that change what its number means.
_BENT = re.compile(
    r"\b(?:more|less|fewer|almost|nearly|over|under|only|another|additional|half|double|"
    r"below|above|beyond|besides|except) (?:than |of )?\{",
    re.IGNORECASE,
)
_NEGATIONS = frozenset({"not", "never", "no", "none", "nothing", "nobody", "neither", "nor",
                        "without", "stopped", "ceased", "cannot", "hardly"})  # fmt: skip
_CALMING = frozenset({"benign", "harmless", "safe", "authorised", "authorized", "legitimate",
                      "trusted", "expected", "normal", "allowed", "approved", "innocent",
                      "permitted", "fine", "okay", "ordinary", "usual", "routine", "intended",
                      "sanctioned", "scheduled", "maintenance", "test"})  # fmt: skip
_ALARMING = frozenset({"malicious", "malware", "attack", "attacker", "infected", "virus", "hacked",
                       "intruder", "dangerous", "stolen", "theft", "spying", "spy",
                       "recording", "records", "compromised"})  # fmt: skip
_CERTAIN = frozenset({"definitely", "certainly", "proves", "proven", "proof", "confirmed",
                      "undoubtedly", "guaranteed", "surely", "always"})  # fmt: skip
_ACTIONS = frozenset({"block", "unblock", "unplug", "disconnect", "quarantine", "click", "visit",
                      "pay", "delete", "install", "uninstall", "reboot", "restart", "ignore",
                      "disable", "enable", "remove", "approve", "reject", "call us",
                      "should", "must", "please"})  # fmt: skip

# What a sentence without slots must speak of, for each kind of fact that it may cite.
_TOPICS: dict[str, frozenset[str]] = {
    "rhythm": frozenset({"regular", "regularly", "even", "evenly", "timer", "rhythm", "pace",
                         "steady", "beat", "clock", "interval", "gap"}),
    "contact": frozenset({"server", "destination", "contact", "contacts", "somewhere"}),
    "service": frozenset({"company", "service", "maker"}),
    "volume": frozenset({"sent", "sends", "received", "data", "amount", "upload"}),
    "lookups": frozenset({"names", "name", "look-ups", "lookups", "domain", "hidden"}),
    "reach": frozenset({"addresses", "ports", "doors", "devices", "search", "searching",
                        "scan", "scanning", "tried"}),
    "bypass": frozenset({"resolver", "filters", "look-ups", "lookups", "dns"}),
    "listed": frozenset({"list", "lists"}),
    "signature": frozenset({"rule", "rules"}),
    "spoof": frozenset({"address"}),
    "order": frozenset({"first", "after", "before", "followed", "then"}),
    "when": frozenset({"began", "since", "time", "evening", "night", "long"}),
    "others": frozenset({"others", "other", "house"}),
    "blocked": frozenset({"refused", "resolver"}),
    "what": frozenset({"looks", "consistent", "pattern", "kind", "seen", "similar"}),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is left of a reply. ``told`` is None when the template has to answer."""

    told: Told | None
    kept: int
    dropped: tuple[str, ...]
    causes: tuple[causes.Ranked, ...] = ()


def check(reply: str, incident: Incident, fallback: Told, zone: tzinfo | None) -> Checked:
    """Check a reply and fill its slots. ``fallback`` is the template's telling."""
    try:
        parsed = _parse(reply)
    except ValueError as error:
        return Checked(told=None, kept=0, dropped=(str(error),))
    judge = _Judge(incident, zone)
    claims = [judge.claim(each) for each in parsed["explanation"][:MAX_CLAIMS]]
    kept = [claim for claim in claims if claim is not None]
    total = len(parsed["explanation"])
    if len(kept) < MIN_CLAIMS or len(kept) * 2 <= total:
        return Checked(told=None, kept=len(kept), dropped=tuple(judge.reasons))
    title = judge.sentence(parsed["title"], title=True)
    summary = [judge.claim(each) for each in parsed["summary"]]
    expert = [claim for each in parsed["expert"] if (claim := judge.claim(each)) is not None]
    whole = [claim.text for claim in summary if claim is not None]
    # What is not known is told by the template, never left to a model.
    own = {fact.text for fact in incident.facts if fact.kind in ("before", "unknown")}
    closing = tuple(claim for claim in fallback.claims if claim.text in own)
    shown = (*kept, *closing)
    told = Told(
        title=title.text if title is not None else fallback.title,
        summary=" ".join(whole) if len(whole) == len(summary) == 2 else fallback.summary,
        explanation=" ".join(claim.text for claim in shown),
        expert=" ".join([*(claim.text for claim in expert), fallback.expert]).strip(),
        claims=shown,
    )
    ranked, strange = causes.checked(parsed.get("causes", []), incident)
    return Checked(told=told, kept=len(kept), dropped=(*judge.reasons, *strange), causes=ranked)


def _parse(reply: str) -> dict[str, Any]:
    """Return the reply's parts.

    Raises:
        ValueError: too long, not JSON, or not of the shape that was asked for.
    """
    if len(reply) > MAX_REPLY:
        msg = f"longer than {MAX_REPLY} characters"
        raise ValueError(msg)
    try:
        parsed = json.loads(reply)
    except (ValueError, RecursionError) as error:
        msg = f"not JSON: {error}"
        raise ValueError(msg) from error
    shape = {"title": str, "summary": list, "explanation": list, "expert": list}
    if not isinstance(parsed, dict) or parsed.keys() - {"causes"} != shape.keys():
        msg = "not the keys that were asked for"
        raise ValueError(msg)
    if not all(isinstance(parsed[key], kind) for key, kind in shape.items()):
        msg = "not the types that were asked for"
        raise ValueError(msg)
    return parsed


class _Judge:
    """Checks the sentences of one reply, and remembers why any were dropped."""

    def __init__(self, incident: Incident, zone: tzinfo | None) -> None:
        self._incident = incident
        self._filler = Filler(incident.facts, zone)
        self._kinds = {fact.id: fact.kind for fact in incident.facts}
        self._slots = slots(incident.facts)
        self._said: set[str] = set()
        self.reasons: list[str] = []

    def claim(self, value: object) -> Claim | None:
        """Return the checked claim, or None."""
        if not isinstance(value, dict) or value.keys() != {"text", "facts"}:
            self.reasons.append("not a claim")
            return None
        cited = value["facts"]
        if not isinstance(cited, list) or not all(isinstance(each, str) for each in cited):
            self.reasons.append("citations are not ids")
            return None
        unknown = [each for each in cited if each not in self._kinds]
        if unknown or not cited:
            self.reasons.append("no citation" if not cited else "unknown fact id")
            return None
        return self.sentence(value["text"], tuple(cited))

    def sentence(
        self, text: object, cited: Sequence[str] = (), *, title: bool = False
    ) -> Claim | None:
        """Return the sentence with its slots filled, or None when it does not pass."""
        if not isinstance(text, str):
            self.reasons.append("not text")
            return None
        reason = self._fault(text, cited, title=title)
        if reason is None:
            filled = self._filler.fill(text)
            if title and len(filled.text) > TITLE_LENGTH:
                reason = "title too long"
            elif filled.text in self._said:
                reason = "said before"
            else:
                self._said.add(filled.text)
                facts = tuple(dict.fromkeys((*filled.facts, *self._related(cited, filled.facts))))
                return Claim(text=filled.text, facts=facts)
        self.reasons.append(reason)
        return None

    def _related(self, cited: Sequence[str], used: Sequence[str]) -> list[str]:
        # Beside slots, only the facts that the slots came from are shown as its ground.
        return [] if used else list(cited)

    def _fault(self, text: str, cited: Sequence[str], *, title: bool) -> str | None:
        if not 8 <= len(text) <= MAX_SENTENCE:
            return "too short or too long"
        if any(match[1] not in self._slots for match in SLOT.finditer(text)):
            return "unknown slot"
        try:
            self._filler.fill(text)
        except MissingSlotError:
            return "slot without a value"
        used = [match[1] for match in SLOT.finditer(text)]
        plain = SLOT.sub(" ", text)
        said = [word.lower() for word in _WORD.findall(plain)]
        for fault in (
            _fault_of_form(text, plain),
            _fault_of_words(said, self._incident.verdict),
            _fault_of_slots(text, used, said),
        ):
            if fault is not None:
                return fault
        return self._fault_of_ground(used, said, cited, title=title)

    def _fault_of_ground(
        self, used: Sequence[str], said: Sequence[str], cited: Sequence[str], *, title: bool
    ) -> str | None:
        if len(said) < (1 if title else MIN_WORDS):
            return "says nothing"
        if title:
            return None if "device" in used or "whom" in used else "title without its device"
        return None if used or self._on_topic(said, cited) else "rests on no fact"

    def _on_topic(self, said: Sequence[str], cited: Sequence[str]) -> bool:
        words = set(said)
        return any(words & _TOPICS.get(self._kinds[each], frozenset()) for each in cited)


def _fault_of_form(text: str, plain: str) -> str | None:
    if not _ALLOWED.fullmatch(plain):
        return "digits, links or markup outside slots"
    if _DOTTED.search(plain):
        return "something like a host name"
    if _TURNED.search(text):
        return "turns around who did it"
    return "bends a number" if _BENT.search(text) else None


def _fault_of_words(said: Sequence[str], verdict: Verdict) -> str | None:
    spoken = set(said)
    strange = next((word for word in said if not _is_ordinary(word)), None)
    if strange is not None:
        return f"word that is not on the list: {strange[:20]}"
    if spoken & _CERTAIN or spoken & _ACTIONS:
        return "claims certainty or names an action"
    harm = verdict in (Verdict.MALICIOUS, Verdict.SUSPICIOUS)
    if spoken & (_CALMING if harm else _ALARMING):
        return "speaks against the verdict"
    if verdict is Verdict.UNDETERMINED and spoken & _CALMING:
        return "speaks against the verdict"
    return None


def _fault_of_slots(text: str, used: Sequence[str], said: Sequence[str]) -> str | None:
    if _UNIT_AFTER.search(text):
        return "a noun of measure after a slot"
    if used and set(said) & _NEGATIONS:
        return "denies what was measured"
    if len(used) > 6:
        return "too many slots"
    return None


_MEASURES = {word for one, many in NOUNS.values() for word in (*one.split(), *many.split())} | {
    "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "bytes", "byte",
    "megabytes", "kilobytes", "gigabytes", "percent", "people", "persons", "users", "files",
    "packets", "requests", "messages", "flows", "sessions", "hosts", "servers",
}  # fmt: skip
_UNIT_AFTER = re.compile(
    r"\{[A-Za-z0-9_]+\.[a-z0-9_]+(?:\|[a-z]+)?\}[ -]+(?:of )?(?:the |its |other |more )?(?:"
    + "|".join(sorted(_MEASURES - {"other", "up"}, key=len, reverse=True))
    + r")\b",
    re.IGNORECASE,
)


@functools.cache
def vocabulary() -> frozenset[str]:
    """Return the ordinary words that a model may use outside slots."""
    lines = _VOCABULARY.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _is_ordinary(word: str) -> bool:
    known: Mapping[str, Any] | frozenset[str] = vocabulary()
    base = word.removesuffix("'s")
    forms = (base, base.removesuffix("s"), base.removesuffix("es"), base.removesuffix("ed"),
             base.removesuffix("d"), base.removesuffix("ing"), base.removesuffix("ly"),
             base.removesuffix("ing") + "e", base.removesuffix("ies") + "y")  # fmt: skip
    return any(form in known for form in forms)
