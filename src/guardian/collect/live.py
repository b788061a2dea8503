"""Build the collectors that listen or ask, from the settings: no file, no bookmark to seek."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.collect.adguard_api import AdguardApiCollector
from guardian.collect.eve import EveCollector
from guardian.collect.network_logs import NetflowCollector, SyslogCollector
from guardian.collect.pihole_api import PiholeApiCollector
from guardian.collect.text_log import TextLogCollector
from guardian.collect.wire import WireCollector
from guardian.collect.zeek import ZeekCollector
from guardian.errors import ConfigError
from guardian.intel import addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardian.collect.base import Collector
    from guardian.collect.settings import Settings


def collectors(settings: Settings, interfaces: Sequence[str] = ()) -> list[Collector]:
    """Return what the settings switch on; each is ``Closing``.

    Raises:
        ConfigError: a listening address is not ``host:port``, or a home network is none.
    """
    home_nets = _networks(settings)
    found: list[Collector] = []
    if settings.wire:
        found += [WireCollector(interface) for interface in interfaces]
    if settings.pihole_url:
        found.append(
            PiholeApiCollector(
                settings.pihole_url,
                settings.pihole_password or None,
                ca_file=Path(settings.pihole_ca_file) if settings.pihole_ca_file else None,
                tls_name=settings.pihole_tls_name or None,
            )
        )
    if settings.adguard_url:
        found.append(
            AdguardApiCollector(
                settings.adguard_url,
                settings.adguard_user or None,
                settings.adguard_password or None,
            )
        )
    if settings.netflow_listen:
        netflow = NetflowCollector(*_address(settings.netflow_listen, "netflow_listen"))
        netflow.listener.allow_home(home_nets)
        found.append(netflow)
    if settings.syslog_listen:
        host, port = _address(settings.syslog_listen, "syslog_listen")
        syslog = SyslogCollector(host, port, timezone=settings.log_timezone)
        syslog.listener.allow_home(home_nets)
        found.append(syslog)
    return found


def fitted(collector: Collector, settings: Settings) -> Collector:
    """Return a collector that keeps to the settings' limits and their time zone."""
    if isinstance(collector, EveCollector):
        return replace(collector, settings=settings)
    if isinstance(collector, TextLogCollector):
        return replace(collector, timezone=settings.log_timezone, first_days=settings.first_days)
    if isinstance(collector, ZeekCollector):
        return replace(collector, first_days=settings.first_days)
    return collector


def _networks(settings: Settings) -> tuple[addresses.Network, ...]:
    try:
        return addresses.parse_networks(settings.home_nets)
    except ValueError as error:
        msg = f"collect.home_nets: {error}"
        raise ConfigError(msg) from error


def _address(text: str, key: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        msg = f"collect.{key}: {text!r} is not ADDRESS:PORT, such as 0.0.0.0:2055"
        raise ConfigError(msg)
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - the senders are other machines
