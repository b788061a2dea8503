"""Build the collectors that the configuration names."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from guardian.collect import eve_socket, kinds, live, registry, rules_update
from guardian.collect.suricata_live import Sensor
from guardian.errors import ConfigError

RULES_FOLDER = "rules"
"""Below the data directory: where updated signatures live."""

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.collect.base import Collector
    from guardian.config import Config


def with_updated_rules(config: Config) -> Config:
    """Return the configuration with the signatures of the last good update in use."""
    updated = rules_update.current(config.data / RULES_FOLDER)
    if updated is None or updated in config.collect.suricata_rules:
        return config
    rules = (*config.collect.suricata_rules, updated)
    return dataclasses.replace(
        config, collect=dataclasses.replace(config.collect, suricata_rules=rules)
    )


def sensors(config: Config) -> list[Sensor]:
    """Return a Suricata for each mirrored port."""
    config = with_updated_rules(config)
    return [
        Sensor(interface, (config.data / "suricata" / interface).absolute(), config.collect)
        for interface in config.sources.interfaces
    ]


def collectors(config: Config) -> list[Collector]:
    """Return a collector for each source; a file that will only grow later is fine.

    Raises:
        ConfigError: the same source twice, or a log of unknown kind.
    """
    named: list[tuple[str, Path]] = [
        *(("eve", sensor.eve) for sensor in sensors(config)),
        *(("eve", path) for path in config.sources.eve if not eve_socket.is_socket(path)),
        *(("pihole-log", path) for path in config.sources.pihole_log),
        *(("pihole-db", path) for path in config.sources.pihole_db),
        *((kinds.followed_kind(path), path) for path in config.sources.files),
    ]
    first_days = min(config.collect.first_days, config.store.keep_days)
    settings = dataclasses.replace(config.collect, first_days=first_days)
    found = [live.fitted(registry.KINDS[kind](path), settings) for kind, path in named]
    found += [
        eve_socket.EveSocketCollector(path, config.collect)
        for path in config.sources.eve
        if eve_socket.is_socket(path)
    ]
    found += live.collectors(config.collect, config.sources.interfaces)
    names = [each.source.name for each in found]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        msg = f"named twice as a source: {', '.join(sorted(twice))}"
        raise ConfigError(msg)
    return found
