"""What the settings switch on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guardian.collect import live, registry
from guardian.collect.base import Closing
from guardian.collect.network_logs import NetflowCollector, SyslogCollector
from guardian.collect.settings import Settings
from guardian.collect.text_log import TextLogCollector
from guardian.collect.zeek import ZeekCollector
from guardian.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_listens_or_asks_unless_it_is_told_to() -> None:
    assert live.collectors(Settings()) == []


def test_everything_can_be_switched_on() -> None:
    settings = Settings(
        pihole_url="http://127.0.0.1:9",
        adguard_url="http://127.0.0.1:9",
        netflow_listen="127.0.0.1:0",
        syslog_listen="[::1]:0",
    )
    found = live.collectors(settings, ["lo"])
    kinds = [each.source.kind for each in found]
    assert kinds == ["wire", "pihole-api", "adguard-api", "netflow", "syslog"]
    for each in found:
        assert isinstance(each, Closing)
        each.close()
    assert live.collectors(Settings(wire=False), ["lo"]) == []


@pytest.mark.parametrize("text", ["2055x", "0.0.0.0", "0.0.0.0:99999", "host:"])
def test_a_wrong_address_names_its_key(text: str) -> None:
    with pytest.raises(ConfigError, match="netflow_listen"):
        live.collectors(Settings(netflow_listen=text))


def test_a_router_on_a_delegated_prefix_is_of_this_home() -> None:
    settings = Settings(
        netflow_listen="[::]:0", syslog_listen="[::]:0", home_nets=("2001:db8:5::/48",)
    )
    for each in live.collectors(settings):
        assert isinstance(each, NetflowCollector | SyslogCollector)
        for sender in ("2001:db8:5::1", "192.168.1.1", "2001:db8:6::1", "203.0.113.9"):
            each.listener._take_in(sender, b"x")
        assert [sender for _, sender, _ in each.listener.take()] == ["2001:db8:5::1", "192.168.1.1"]
        assert each.listener.lost() == (0, 2)


def test_a_home_network_that_is_none_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"collect\.home_nets: 'fritz'"):
        live.collectors(Settings(home_nets=("fritz",)))


def test_logs_are_read_in_the_time_zone_of_the_settings(tmp_path: Path) -> None:
    collector = registry.KINDS["pihole-log"](tmp_path / "pihole.log")
    zoned = live.fitted(collector, Settings(log_timezone="+02:00"))
    assert isinstance(zoned, TextLogCollector)
    assert zoned.timezone == "+02:00"
    zeek = registry.KINDS["zeek"](tmp_path)
    fitted = live.fitted(zeek, Settings(first_days=3.0))
    assert isinstance(fitted, ZeekCollector)
    assert fitted.first_days == 3.0
