"""What can be set about collecting; each key's reason stands beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - the configuration reads the types at run time


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The ``[collect]`` table of the configuration file."""

    max_line_bytes: int = 4 << 20
    """A longer line of a log is skipped and counted. Suricata's own longest (statistics,
    payloads) stay far below 1 MiB; the limit bounds memory against a line without end."""

    batch_bytes: int = 32 << 20
    """How much of a log is decoded and committed at once under load; chosen by measurement
    (docs/performance.md). A growing log that has less gives smaller batches."""

    first_days: float = 7.0
    """How far back the very first reading of a log takes in its rotated files. A week is what
    detectors look back, and gives each device its habits at once; 0 begins with today's log.
    No more is read than ``store.keep_days`` keeps."""

    socket_queue_bytes: int = 64 << 20
    """How much of EVE by a socket waits for the store; more is dropped and counted. 64 MiB are
    some 90,000 events: three quarters of a minute at 2,000 a second, longer than any commit."""

    home_nets: tuple[str, ...] = ()
    """Networks of this home besides the private ranges, such as a delegated IPv6 prefix."""

    suricata_rules: tuple[Path, ...] = ()
    """Rule files for Suricata besides Guardian's own, such as what suricata-update wrote."""

    rule_sources: tuple[str, ...] = ()
    """Free signature sources that ``guardian rules update`` fetches: ``et-open``,
    ``abusech-sslbl``, ``abusech-ja3``, ``abusech-urlhaus``, ``abusech-feodo``."""

    suricata_start_timeout_s: float = 60.0
    """How long a live Suricata may take to load its rules before it counts as failed."""

    suricata_memory_mb: int = 512
    """Budget for the flow table and stream reassembly of Suricata together."""

    packet_buffer_mb: int = 1024
    """How much of the newest traffic each mirrored port keeps as packets, so that an incident's
    can be cut out and shown. A gigabyte is some hours of a home without video; 0 keeps none."""

    sensor_window_s: float = 300.0
    """Over how long the share of missed packets is taken: a burst of seconds (a backup, a
    large update) is no lasting trouble, and five minutes are soon enough to hear of one."""

    sensor_drop_share: float = 0.01
    """Missed packets of which share make health amber. Home connections have some tens of
    packets, so at one in a hundred every few connections have a gap that hides their names."""

    sensor_memory_mb: int = 2048
    """A Suricata that holds more makes health amber. With the free rule sets it needs 0.4 to
    1 GB besides ``suricata_memory_mb``."""

    replay_timeout_s: float = 3600.0
    """How long Suricata may work on one capture; what it wrote until then is kept."""

    wire: bool = True
    """Whether device sightings (ARP, NDP, DHCP, mDNS, SSDP, NBNS) are read from the mirrored
    ports, with a kernel filter; needs the capability CAP_NET_RAW."""

    log_timezone: str = "local"
    """Time zone of logs whose times have no offset: ``local``, ``UTC``, ``+01:00`` or a name
    such as ``Europe/Berlin``. The resolver may run on another machine than Guardian."""

    pihole_url: str = ""
    """A Pi-hole v6 whose queries are read by its API, such as ``http://pi.hole``; empty: none."""

    pihole_password: str = ""
    """An app password of that Pi-hole; empty when it asks for none."""

    pihole_ca_file: str = ""
    """The authority of its certificate (``/etc/pihole/tls_ca.crt``), for https."""

    pihole_tls_name: str = ""
    """The name in its certificate, when ``pihole_url`` holds an address."""

    adguard_url: str = ""
    """An AdGuard Home whose query log is read by its API; empty: none."""

    adguard_user: str = ""
    """Its user."""

    adguard_password: str = ""
    """Its password."""

    netflow_listen: str = ""
    """Where to listen for NetFlow v5, v9 and IPFIX, such as ``0.0.0.0:2055``; empty: nowhere.
    Only senders with a home address are read."""

    syslog_listen: str = ""
    """Where to listen for syslog lines of firewalls and resolvers, such as ``0.0.0.0:5514``;
    empty: nowhere. Only senders with a home address are read."""
