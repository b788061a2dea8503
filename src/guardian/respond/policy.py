"""What may be proposed for what: one table, from verdict and class to action.

The table is the whole policy. It proposes only what an enforcer can really do:
names are blocked at the resolver; a scan inside the home network never passes it,
so nothing is promised there; the story says what a person can do by hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from guardian.model.finding import FindingClass as C
from guardian.model.incident import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is proposed for one class.

    ``action`` is ``dns_block`` or ``dns_trial``; ``hours`` names the setting that says
    how long. ``harmless_only`` takes only names that the catalogue holds to break
    nothing. ``device_only``: not proposed where the enforcer can't hold it to one device.
    ``whole_domain``: everything below is meant, so an enforcer for exact names won't do.
    """

    verdicts: frozenset[Verdict]
    action: str = "dns_block"
    hours: str = "block_hours"
    harmless_only: bool = False
    device_only: bool = False
    whole_domain: bool = False
    canary: tuple[str, ...] = ()


_ATTACK = frozenset({Verdict.MALICIOUS, Verdict.SUSPICIOUS})
_WATCHED = frozenset({Verdict.SURVEILLANCE})

_BLOCK = Rule(verdicts=_ATTACK)
_TRACKER = Rule(verdicts=_WATCHED, hours="surveillance_hours", harmless_only=True)
_TRIAL = Rule(verdicts=_WATCHED, action="dns_trial", hours="trial_hours", device_only=True)

POLICY: dict[C, Rule] = {
    C.C2_BEACON: _BLOCK,
    C.MALWARE: _BLOCK,
    C.THREAT_INTEL: _BLOCK,
    C.CRYPTO_MINING: _BLOCK,
    C.EXFILTRATION: _BLOCK,
    C.DNS_TUNNEL: Rule(verdicts=_ATTACK, whole_domain=True),
    # Browsers ask for this name first and keep to the house's resolver when it is not there
    # (support.mozilla.org, "Canary domain - use-application-dns.net").
    C.DOH_BYPASS: Rule(
        verdicts=_ATTACK | {Verdict.SURVEILLANCE, Verdict.UNDETERMINED},
        canary=("use-application-dns.net",),
    ),
    C.ACR: _TRACKER,
    C.DATA_BROKER: _TRACKER,
    C.AD_TRACKING: _TRACKER,
    C.VOICE_ASSISTANT: _TRIAL,
    C.CAMERA_CLOUD: _TRIAL,
}


def rule_for(finding_class: str, verdict: str) -> Rule | None:
    """Return what may be proposed for a class under a verdict, or None."""
    try:
        rule = POLICY.get(C(finding_class))
        return rule if rule is not None and Verdict(verdict) in rule.verdicts else None
    except ValueError:
        return None
