"""What may be proposed for what: one table, from verdict and class to action.

The table is the whole policy. It proposes only what an enforcer can really do:
names are blocked at the resolver; a scan inside the home network never passes it,
so nothing is promised there and ``by_hand`` says what a person can do.
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

_ALONE = "Take it off the network until you know what it is: switch it off or pull its plug."
BY_HAND: dict[C, str] = {
    C.PORT_SCAN: f"Blocking names does not stop this: it stays inside your network. {_ALONE}",
    C.HOST_SCAN: f"Blocking names does not stop this: it stays inside your network. {_ALONE}",
    C.LAN_RECON: f"Blocking names does not stop this: it stays inside your network. {_ALONE}",
    C.LATERAL_MOVEMENT: f"Blocking names does not stop this: it stays inside. {_ALONE}",
    C.BRUTE_FORCE: "Change the password that was guessed at, and close the service to others.",
    C.EXPLOIT: "Update the device that was attacked, and restart it.",
    C.ARP_SPOOF: f"A device poses as another one. {_ALONE}",
    C.ROGUE_DHCP: "Find the second address server (often a spare router) and unplug it.",
    C.DGA: "The names change all the time, so blocking them one by one is of no use. "
    "Have the device checked for malware.",
    C.DNS_TUNNEL: "Have the device checked: a program on it hides data in DNS questions.",
    C.DNS_BYPASS: "It asks another DNS server by its address. Only your router can stop that: "
    "let it forward or refuse port 53 from everything but your resolver.",
    C.DOH_BYPASS: "Switch off 'secure DNS' in the device's browser or system settings, if you "
    "want it to use the house's DNS.",
    C.TOR_VPN: "If nobody in the house uses this on purpose, look for the program on the device.",
    C.EXPOSED_SERVICE: "Take the port forwarding out of your router, and switch off UPnP there.",
    C.CLEARTEXT_SECRET: "Change that password, and use the service's https address.",
    C.ACR: "Switch it off in the TV's own settings (often called viewing information services).",
    C.VOICE_ASSISTANT: "Use the assistant's mute button, and delete recordings in its app.",
    C.CAMERA_CLOUD: "Look in the camera's app whether it can record at home only.",
}
"""What a person can do, where an enforcer can do nothing or not the whole of it."""


def rule_for(finding_class: str, verdict: str) -> Rule | None:
    """Return what may be proposed for a class under a verdict, or None."""
    try:
        rule = POLICY.get(C(finding_class))
        return rule if rule is not None and Verdict(verdict) in rule.verdicts else None
    except ValueError:
        return None


def by_hand(classes: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Return what a person can do about an incident of these classes, in plain words."""
    known = {str(each): text for each, text in BY_HAND.items()}
    return tuple(dict.fromkeys(known[each] for each in classes if each in known))
