"""Verdict, confidence and level, by rules that a person can read. No model comes near.

Every incident starts with what its leading class is worth, and each thing that speaks
for or against it adds or takes away. The sum, between 0.05 and 0.99, is the confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardian.model import words
from guardian.model.finding import FindingClass as C
from guardian.model.finding import Level
from guardian.model.incident import ScoreItem, Verdict
from guardian.triage.families import FAMILY, LEAD_ORDER, Family

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardian.triage.load import Case

_WORTH: dict[C, float] = {
    C.MALWARE: 0.6,
    C.THREAT_INTEL: 0.6,
    C.CRYPTO_MINING: 0.55,
    C.C2_BEACON: 0.5,
    C.DNS_TUNNEL: 0.55,
    C.EXPLOIT: 0.5,
    C.DGA: 0.45,
    C.EXFILTRATION: 0.45,
    C.LATERAL_MOVEMENT: 0.5,
    C.BRUTE_FORCE: 0.55,
    C.ARP_SPOOF: 0.5,
    C.ROGUE_DHCP: 0.5,
    C.HOST_SCAN: 0.5,
    C.PORT_SCAN: 0.5,
    C.LAN_RECON: 0.3,
    C.DOH_BYPASS: 0.5,
    C.DNS_BYPASS: 0.45,
    C.TOR_VPN: 0.45,
    C.ACR: 0.55,
    C.VOICE_ASSISTANT: 0.5,
    C.CAMERA_CLOUD: 0.5,
    C.LLM_API: 0.55,
    C.AI_MEDIA_API: 0.5,
    C.BIOMETRIC_API: 0.45,
    C.CLEARTEXT_SECRET: 0.6,
    C.EXPOSED_SERVICE: 0.5,
}
"""What a medium finding of a class is worth alone; 0.35 for a class not named here."""

_LEVEL_WORTH = (-0.35, -0.25, 0.0, 0.15, 0.25)
"""What a finding's own level adds, from informational to critical."""

_GRADES = {"payload": 0.25, "validated": 0.25, "behav": 0.15, "list": 0.1, "suspect": -0.1}
"""What the catalogue's evidence grade adds; the first key that the grade begins with."""

# These say that somebody does harm; the rest are for a person to judge.
_HARM = frozenset(
    {C.MALWARE, C.C2_BEACON, C.THREAT_INTEL, C.CRYPTO_MINING, C.DNS_TUNNEL, C.DGA, C.EXFILTRATION,
     C.EXPLOIT, C.LATERAL_MOVEMENT, C.BRUTE_FORCE, C.ARP_SPOOF, C.ROGUE_DHCP}
)  # fmt: skip
_RHYTHM_ONLY = frozenset({C.C2_BEACON, C.EXFILTRATION, C.DGA})
_NEUTRAL = frozenset({C.NEW_DEVICE, C.NEW_DESTINATION, C.BLIND_SENSOR, C.POLICY_VIOLATION})

MALICIOUS_AT = 0.7
SUSPICIOUS_AT = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What rules hold an incident to be, and what counted."""

    verdict: Verdict
    confidence: float
    level: Level
    lead: C
    classes: tuple[C, ...]
    score: tuple[ScoreItem, ...]
    explained: frozenset[C] = frozenset()


def judge(case: Case, prior: float = 0.0) -> Judgement:
    """Return the judgement. ``prior`` is what people's answers add or take away."""
    ranks = {C(row["class"]): int(row["level"]) for row in case.classes}
    explained = _explained(case, ranks)
    lead = _lead(ranks, explained)
    items = list(_items(case, ranks, lead, explained))
    if prior:
        items.append(ScoreItem(what="what people said of such incidents here", weight=prior))
    confidence = round(min(0.99, max(0.05, sum(item.weight for item in items))), 3)
    ordered = sorted(ranks, key=lambda kind: (kind is not lead, LEAD_ORDER.index(kind)))
    return Judgement(
        verdict=_verdict(ranks, lead, confidence, explained=explained),
        confidence=confidence,
        level=_level(ranks, explained),
        lead=lead,
        classes=tuple(ordered),
        score=tuple(items),
        explained=explained,
    )


def _items(
    case: Case, ranks: Mapping[C, int], lead: C, explained: frozenset[C]
) -> Sequence[ScoreItem]:
    harm = [rank for kind, rank in ranks.items() if kind in _HARM and kind not in explained]
    gravest = max([ranks[lead], *harm]) if lead in _HARM else ranks[lead]
    level = list(Level)[gravest]
    items = [
        ScoreItem(what=f"seen: {words.finding_class(lead)}", weight=_WORTH.get(lead, 0.35)),
        ScoreItem(what=f"the detectors call it {level.value}", weight=_LEVEL_WORTH[gravest]),
    ]
    kinds = [kind for kind in ranks if kind not in explained and FAMILY[kind] is not Family.CHATTER]
    if len(kinds) > 1:
        also = words.sentence_list(words.finding_class(k) for k in sorted(kinds) if k is not lead)
        items.append(ScoreItem(what=f"also seen: {also}", weight=min(0.2, 0.1 * (len(kinds) - 1))))
    if len(case.detectors) > 1:
        items.append(
            ScoreItem(
                what=f"{len(case.detectors)} detectors agree",
                weight=min(0.15, 0.05 * (len(case.detectors) - 1)),
            )
        )
    if C.THREAT_INTEL in ranks and lead is not C.THREAT_INTEL:
        items.append(ScoreItem(what="the destination is on a list of bad ones", weight=0.2))
    if len(case.devices) > 1 and FAMILY[lead] is Family.CONTROL:
        items.append(ScoreItem(what=f"{len(case.devices)} devices do the same", weight=0.1))
    items += _catalogue(case, lead, explained)
    return [item for item in items if item.weight]


def _catalogue(case: Case, lead: C, explained: frozenset[C]) -> list[ScoreItem]:
    items = []
    if FAMILY[lead] is Family.LISTENING and case.hits:
        grade = str(case.hits[0]["grade"]).lower()
        worth = next((v for key, v in _GRADES.items() if grade.startswith(key)), 0.05)
        items.append(ScoreItem(what=f"the catalogue knows the name ({grade})", weight=worth))
        if any(row["facts"].get("interval_s") for row in case.samples):
            items.append(ScoreItem(what="it keeps the rhythm of such a service", weight=0.1))
    elif FAMILY[lead] is Family.CONTROL and case.hits and not explained:
        items.append(ScoreItem(what="the destination is a known company's", weight=-0.2))
    if explained and lead in explained:
        items.append(ScoreItem(what="a known service keeps this rhythm", weight=-0.4))
    return items


def _explained(case: Case, ranks: Mapping[C, int]) -> frozenset[C]:
    """Return the classes that only a rhythm or a volume speaks for, to a service that is known."""
    if not case.hits or ranks.keys() & (_HARM - _RHYTHM_ONLY):
        return frozenset()
    known = {hit["name"] for hit in case.hits}
    found = set()
    for kind in _RHYTHM_ONLY & ranks.keys():
        peers = [row["peers"] for row in case.samples if row["class"] == kind]
        if peers and all(any(peer in known for peer in each) for each in peers):
            found.add(kind)
    return frozenset(found)


def _lead(ranks: Mapping[C, int], explained: frozenset[C]) -> C:
    candidates = [kind for kind in ranks if kind not in explained] or list(ranks)
    # Of harm that is sure enough the cause leads, even where its sign is graver.
    harm = [kind for kind in candidates if kind in _HARM and ranks[kind] >= Level.MEDIUM.rank]
    return min(harm or candidates, key=lambda k: (0 if harm else -_weight(k, ranks), _place(k)))


def _place(kind: C) -> int:
    return LEAD_ORDER.index(kind)


def _weight(kind: C, ranks: Mapping[C, int]) -> int:
    aside = FAMILY[kind] in (Family.CHATTER, Family.INVENTORY)
    return ranks[kind] - (5 if aside else 0)


def _verdict(
    ranks: Mapping[C, int], lead: C, confidence: float, *, explained: frozenset[C]
) -> Verdict:
    family = FAMILY[lead]
    if family is Family.LISTENING or lead in (C.DATA_BROKER, C.AD_TRACKING, C.IOT_TELEMETRY):
        return Verdict.SURVEILLANCE
    if lead in explained or lead is C.OS_TELEMETRY:
        return Verdict.BENIGN
    if lead in _NEUTRAL and ranks[lead] < Level.HIGH.rank:
        return Verdict.UNDETERMINED
    if lead in _HARM and confidence >= MALICIOUS_AT:
        return Verdict.MALICIOUS
    return Verdict.SUSPICIOUS if confidence >= SUSPICIOUS_AT else Verdict.UNDETERMINED


def _level(ranks: Mapping[C, int], explained: frozenset[C]) -> Level:
    levels = list(Level)
    counted = [rank for kind, rank in ranks.items() if kind not in explained]
    rank = max(counted) if counted else min(1, max(ranks.values()))
    # Parent and consequence together are graver than either.
    harm = (ranks.keys() & _HARM) - explained
    if len(harm) > 1 and max(ranks[kind] for kind in harm) >= Level.MEDIUM.rank:
        rank = min(rank + 1, Level.CRITICAL.rank)
    return levels[rank]


def needs_answer(judgement: Judgement) -> bool:
    """Say whether a person should be asked; the rest is noted."""
    if judgement.verdict is Verdict.BENIGN:
        return False
    family = FAMILY[judgement.lead]
    if family in (Family.CHATTER, Family.INVENTORY):
        return judgement.level.rank >= Level.MEDIUM.rank and judgement.lead not in _NEUTRAL
    if family is Family.LISTENING:
        return judgement.level.rank >= Level.LOW.rank
    return judgement.level.rank >= Level.MEDIUM.rank or family is Family.SENSOR
