from __future__ import annotations

from pathlib import Path

import pytest

from guardian import config
from guardian.cli.common import duration
from guardian.errors import ConfigError, UsageError


def test_a_file_sets_what_it_names_and_nothing_else() -> None:
    parsed = config.parse(
        """
        data = "/srv/guardian"
        [sources]
        eve = ["/var/log/suricata/eve.json"]
        [store]
        keep_days = 30
        [[notify.channels]]
        name = "phones"
        url = "gotify://house/token"
        """,
        "guardian.toml",
    )
    assert parsed.data == Path("/srv/guardian")
    assert parsed.sources.eve == (Path("/var/log/suricata/eve.json"),)
    assert parsed.store.keep_days == 30
    assert parsed.notify.channels[0].name == "phones"
    assert parsed.listen == config.Config().listen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data = ", "not valid TOML"),
        ("colour = 'red'", "unknown key colour"),
        ("[store]\nkeep_dais = 3", "unknown key store.keep_dais; known here: .*keep_days"),
        ("[store]\nkeep_days = 'many'", r"keep_days"),
        ("[[notify.channels]]\nname = 'a'\nurl = 'b'\nloud = true", "notify.channels.loud"),
        ("listen = 8480", r"listen"),
        ("[store]\nkeep_days = 0", r"store\.keep_days"),
        ("[store]\nkeep_days = -1", r"store\.keep_days"),
        ("[store]\nmax_bytes = 0", r"store\.max_bytes"),
        ("[store]\nmax_share = 0.0", r"store\.max_share"),
        ("[store]\nkeep_days_by_table = [['alrt', 3]]", r"store\.keep_days_by_table"),
        ("[detect.devices]\nhome_networks = ['bogus']", r"detect\.devices\.home_networks: 'bogus'"),
        ("[collect]\nhome_nets = ['192.168.1.0/240']", r"collect\.home_nets: '192"),
        ("[collect]\nlog_timezone = 'Mars/Phobos'", r"collect\.log_timezone: .*Mars"),
        ("[notify]\ntimezone = 'Mars/Phobos'", r"notify\.timezone: .*Mars"),
        ("[lists]\nrebuild_at = '25:00'", r"lists\.rebuild_at: '25:00' is no time of day"),
        ("[notify]\ndigest_at = '25:99'", r"notify\.digest_at: '25:99' is no time of day"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        config.parse(text, "guardian.toml")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("guardian.toml: ")
    assert caught.value.exit_code == 2


def test_a_named_file_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        config.load(tmp_path / "absent.toml")
    monkeypatch.setenv("GUARDIAN_CONFIG", str(tmp_path / "other.toml"))
    with pytest.raises(ConfigError, match=r"other\.toml"):
        config.load()


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("24h", 24), ("7d", 168), ("4w", 672)])
def test_lengths_of_time(text: str, hours: float) -> None:
    assert duration(text).total_seconds() == hours * 3600


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1y", "9" * 40 + "d"])
def test_wrong_lengths_of_time(text: str) -> None:
    with pytest.raises(UsageError, match="length of time"):
        duration(text)
