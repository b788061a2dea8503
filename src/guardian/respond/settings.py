"""What a keeper can set about acting: enforcers, life lines, durations, patience."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The ``[respond]`` table of the configuration file."""

    dns_responder: str = "auto"
    """Who blocks names: a name of the responder table, ``none``, or ``auto`` for the first
    one below that is set up."""
    address_responder: str = "auto"
    """Who blocks addresses, in the same way."""

    resolvers: tuple[str, ...] = ()
    """The home's resolvers, ``address`` or ``address#port``: they are asked for the proof.
    Empty: the one that the responder itself names (Pi-hole's address, port 53)."""
    block_answers: tuple[str, ...] = ()
    """Addresses that a resolver gives for a blocked name besides 0.0.0.0 and ``::``
    (Pi-hole in IP mode answers with its own)."""

    dnsmasq_hosts_file: str = ""
    """The hosts file that dnsmasq loads (``addn-hosts=`` or a file inside ``hostsdir=``).
    Only whole blocks marked as Guardian's are changed in it."""
    dnsmasq_servers_file: str = ""
    """Optional: the file of ``servers-file=``. With it a block covers all names below, and
    the HTTPS records of blocked names."""
    dnsmasq_pid_file: str = ""
    """dnsmasq's pid file: it gets SIGHUP, on which it reads both files again."""
    dnsmasq_reload: tuple[str, ...] = ()
    """A command, as words, that makes dnsmasq read its files again; instead of the pid file."""

    pihole_url: str = ""
    """Pi-hole v6, such as ``http://192.168.1.2``."""
    pihole_password: str = ""
    """An app password of Pi-hole (Settings, Web interface / API)."""
    pihole_ca_file: str = ""
    """The authority of its certificate (``/etc/pihole/tls_ca.crt``), for https."""
    pihole_tls_name: str = ""
    """The name in its certificate, when it is reached by another (it signs ``pi.hole``)."""

    adguard_url: str = ""
    """AdGuard Home, such as ``http://192.168.1.2:3000``."""
    adguard_user: str = ""
    """Who may change its rules."""
    adguard_password: str = ""
    """That user's password."""

    unbound_include_file: str = ""
    """A file inside unbound's ``server:`` part (``include: "/etc/unbound/guardian.conf"``), in
    which Guardian keeps its local zones over reloads."""
    unbound_control: tuple[str, ...] = ("unbound-control",)
    """The command, as words, that talks to the running unbound."""

    nft_routes: bool = False
    """This host routes the home's traffic, so that nftables here can stop it. A host on a
    mirrored port only sees copies: leave it off there."""
    nft_command: tuple[str, ...] = ("nft",)
    """The command, as words, that changes this host's packet filter."""

    gateways: tuple[str, ...] = ()
    """Addresses of the router; the host's default routes are always counted in."""
    keeper_devices: tuple[str, ...] = ()
    """Addresses or device ids of the keeper: never the object of a block."""
    protected_addresses: tuple[str, ...] = ()
    """Further addresses or networks that are never blocked, such as Proxmox hosts."""
    protected_names: tuple[str, ...] = ()
    """Further names that are never blocked, with everything below and above them."""

    block_hours: int = 24
    """How long a block against an attack lasts: a day to find the time to look."""
    surveillance_hours: int = 24 * 7
    """How long a block against surveillance lasts: a week shows whether anybody misses it."""
    trial_hours: int = 1
    """How long a trial on one device lasts: an evening hour shows what breaks."""
    max_names: int = 50
    """At most so many names in one proposal: more can't be read before saying yes."""
    forecast_days: int = 7
    """How far back the forecast looks: one of each weekday."""

    storm_factor: float = 5.0
    """A blocked device that asks so many times as often as before may not work without."""
    storm_questions: int = 30
    """Fewer questions than this are no storm, however quiet it was before."""

    verify_timeout_s: float = 15.0
    """How long a change may take to show in the resolver's answers; Pi-hole needs 0.1 s,
    gravity and AdGuard Home with big lists seconds."""
    verify_pause_s: float = 0.25
    """Pause between two questions to the resolver."""
    query_timeout_s: float = 2.0
    """How long one answer of the resolver may take."""
    apply_attempts: int = 4
    """Failed tries before an enforcement is given up (it is never given up undoing)."""
    retry_pause_s: float = 5.0
    """Pause before the second try; doubled for each one after, up to ten minutes."""
    check_interval_s: float = 300.0
    """How often an enforcement in force is looked at: lists get rebuilt, backups restored."""
    command_timeout_s: float = 20.0
    """How long a reload command may take."""
