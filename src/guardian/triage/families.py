"""What kinds of story there are: which finding classes hang together, and how they rank."""

from __future__ import annotations

from enum import StrEnum

from guardian.model.finding import FindingClass as C


class Family(StrEnum):
    """A kind of story. Findings of one family and one device may be one story."""

    CONTROL = "control"
    """A device that somebody else seems to steer or misuse."""
    ACCESS = "access"
    """Reaching into other devices."""
    RECON = "recon"
    """Looking around the network."""
    SPOOF = "spoof"
    """Posing as somebody else on the network."""
    BYPASS = "bypass"
    """Going around the house's DNS, or hiding in a tunnel."""
    LISTENING = "listening"
    """Sending away what people watch, say, show or type."""
    CHATTER = "chatter"
    """Everyday reports to makers and advertisers."""
    INVENTORY = "inventory"
    """Something new, or something that stands open."""
    SENSOR = "sensor"
    """Guardian itself cannot see."""


FAMILY: dict[C, Family] = {
    C.C2_BEACON: Family.CONTROL,
    C.MALWARE: Family.CONTROL,
    C.EXPLOIT: Family.ACCESS,
    C.PORT_SCAN: Family.RECON,
    C.HOST_SCAN: Family.RECON,
    C.BRUTE_FORCE: Family.ACCESS,
    C.DNS_TUNNEL: Family.CONTROL,
    C.DGA: Family.CONTROL,
    C.DOH_BYPASS: Family.BYPASS,
    C.DNS_BYPASS: Family.BYPASS,
    C.EXFILTRATION: Family.CONTROL,
    C.CRYPTO_MINING: Family.CONTROL,
    C.TOR_VPN: Family.BYPASS,
    C.LATERAL_MOVEMENT: Family.ACCESS,
    C.ARP_SPOOF: Family.SPOOF,
    C.ROGUE_DHCP: Family.SPOOF,
    C.NEW_DEVICE: Family.INVENTORY,
    C.NEW_DESTINATION: Family.INVENTORY,
    C.EXPOSED_SERVICE: Family.INVENTORY,
    C.CLEARTEXT_SECRET: Family.INVENTORY,
    C.THREAT_INTEL: Family.CONTROL,
    C.POLICY_VIOLATION: Family.INVENTORY,
    C.ACR: Family.LISTENING,
    C.VOICE_ASSISTANT: Family.LISTENING,
    C.CAMERA_CLOUD: Family.LISTENING,
    C.LLM_API: Family.LISTENING,
    C.AI_MEDIA_API: Family.LISTENING,
    C.BIOMETRIC_API: Family.LISTENING,
    C.DATA_BROKER: Family.CHATTER,
    C.AD_TRACKING: Family.CHATTER,
    C.OS_TELEMETRY: Family.CHATTER,
    C.IOT_TELEMETRY: Family.CHATTER,
    C.LAN_RECON: Family.RECON,
    C.BLIND_SENSOR: Family.SENSOR,
}

# Classes whose destinations change while the technique stays: one device, one story,
# whatever the destinations. The others are told apart by where they go.
ONE_PER_DEVICE = frozenset(
    {
        C.DGA,
        C.CRYPTO_MINING,
        C.TOR_VPN,
        C.BRUTE_FORCE,
        C.LATERAL_MOVEMENT,
        C.EXPOSED_SERVICE,
        C.CLEARTEXT_SECRET,
        C.NEW_DEVICE,
        C.NEW_DESTINATION,
        C.ROGUE_DHCP,
    }
)

# Names carry the data here; the address is that of a resolver that others use as well.
NAMES_ONLY = frozenset({C.DNS_TUNNEL, C.DGA, C.DOH_BYPASS, C.DNS_BYPASS})

# Who leads the story when several classes share a level: the cause before the sign.
LEAD_ORDER: tuple[C, ...] = (
    C.C2_BEACON,
    C.MALWARE,
    C.DNS_TUNNEL,
    C.EXFILTRATION,
    C.CRYPTO_MINING,
    C.DGA,
    C.THREAT_INTEL,
    C.LATERAL_MOVEMENT,
    C.BRUTE_FORCE,
    C.EXPLOIT,
    C.ARP_SPOOF,
    C.ROGUE_DHCP,
    C.HOST_SCAN,
    C.PORT_SCAN,
    C.LAN_RECON,
    C.DOH_BYPASS,
    C.DNS_BYPASS,
    C.TOR_VPN,
    C.CLEARTEXT_SECRET,
    C.EXPOSED_SERVICE,
    C.BIOMETRIC_API,
    C.AI_MEDIA_API,
    C.ACR,
    C.VOICE_ASSISTANT,
    C.CAMERA_CLOUD,
    C.LLM_API,
    C.DATA_BROKER,
    C.AD_TRACKING,
    C.IOT_TELEMETRY,
    C.OS_TELEMETRY,
    C.POLICY_VIOLATION,
    C.NEW_DEVICE,
    C.NEW_DESTINATION,
    C.BLIND_SENSOR,
)
