"""What a detector says: classes, levels and findings.

Levels are Sigma's five (https://sigmahq.io/docs/basics/rules.html); classes are
one list for code, corpora and reports.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Level(StrEnum):
    """Sigma's five levels, in rising order."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for informational up to 4 for critical."""
        return _LEVELS.index(self)


_LEVELS = list(Level)


class FindingClass(StrEnum):
    """Everything a finding can be about."""

    C2_BEACON = "c2_beacon"
    MALWARE = "malware"
    EXPLOIT = "exploit"
    PORT_SCAN = "port_scan"
    HOST_SCAN = "host_scan"
    BRUTE_FORCE = "brute_force"
    DNS_TUNNEL = "dns_tunnel"
    DGA = "dga"
    DOH_BYPASS = "doh_bypass"
    DNS_BYPASS = "dns_bypass"
    EXFILTRATION = "exfiltration"
    CRYPTO_MINING = "crypto_mining"
    TOR_VPN = "tor_vpn"
    LATERAL_MOVEMENT = "lateral_movement"
    ARP_SPOOF = "arp_spoof"
    ROGUE_DHCP = "rogue_dhcp"
    NEW_DEVICE = "new_device"
    NEW_DESTINATION = "new_destination"
    EXPOSED_SERVICE = "exposed_service"
    CLEARTEXT_SECRET = "cleartext_secret"  # noqa: S105 - the name of a class
    THREAT_INTEL = "threat_intel"
    POLICY_VIOLATION = "policy_violation"
    ACR = "acr"
    VOICE_ASSISTANT = "voice_assistant"
    CAMERA_CLOUD = "camera_cloud"
    LLM_API = "llm_api"
    AI_MEDIA_API = "ai_media_api"
    BIOMETRIC_API = "biometric_api"
    DATA_BROKER = "data_broker"
    AD_TRACKING = "ad_tracking"
    OS_TELEMETRY = "os_telemetry"
    IOT_TELEMETRY = "iot_telemetry"
    LAN_RECON = "lan_recon"
    BLIND_SENSOR = "blind_sensor"


ATTACK_CLASSES = frozenset(
    {
        FindingClass.C2_BEACON,
        FindingClass.MALWARE,
        FindingClass.EXPLOIT,
        FindingClass.PORT_SCAN,
        FindingClass.HOST_SCAN,
        FindingClass.BRUTE_FORCE,
        FindingClass.DNS_TUNNEL,
        FindingClass.DGA,
        FindingClass.EXFILTRATION,
        FindingClass.CRYPTO_MINING,
        FindingClass.LATERAL_MOVEMENT,
        FindingClass.ARP_SPOOF,
        FindingClass.ROGUE_DHCP,
        FindingClass.THREAT_INTEL,
    }
)

SURVEILLANCE_CLASSES = frozenset(
    {
        FindingClass.ACR,
        FindingClass.VOICE_ASSISTANT,
        FindingClass.CAMERA_CLOUD,
        FindingClass.LLM_API,
        FindingClass.AI_MEDIA_API,
        FindingClass.BIOMETRIC_API,
        FindingClass.DATA_BROKER,
        FindingClass.AD_TRACKING,
        FindingClass.OS_TELEMETRY,
        FindingClass.IOT_TELEMETRY,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that one detector says about one device (or address).

    ``id`` is a digest of detector, device and ``key``: a detector that sees the
    same thing again, grown, yields the same id, and the store updates the row.
    ``peers`` are the other sides, as addresses and names. ``evidence`` names rows
    as ``table:id``. ``facts`` are JSON values with units in their names
    (``interval_s``, ``bytes_up``).
    """

    finding_class: FindingClass
    level: Level
    detector: str
    title: str
    key: str
    device_id: str | None = None
    src_ip: str | None = None
    peers: tuple[str, ...] = ()
    first_seen: datetime
    last_seen: datetime
    count: int = 1
    facts: Mapping[str, object] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits that stay the same while the finding grows."""
        actor = self.device_id or self.src_ip or ""
        text = "\x1f".join((self.detector, actor, self.key))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
