from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from guardian.collect import rules_update
from guardian.collect.settings import Settings
from guardian.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("suricata") is None, reason="no Suricata here")

GOOD = (
    'alert dns any any -> any any (msg:"a test name"; dns.query; content:"bad.example"; '
    "sid:9900001; rev:1;)\n"
    'drop tcp any any -> any 6667 (msg:"a test port"; sid:9900002; rev:1;)\n'
    'alert ip any any -> any any (msg:"SURICATA IPv4 invalid checksum"; sid:9900003; rev:1;)\n'
)
BAD = (
    'alert http any any -> any any (msg:"a broken one"; file_data; file_data; content:"x"; '
    "sid:9900009; rev:1;)\n"
)


def test_a_good_set_is_used_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    folder, file = tmp_path / "rules", tmp_path / "new.rules"
    file.write_text(GOOD)
    report = rules_update.update(folder, Settings(), file=file)
    text = report.path.read_text()
    assert rules_update.current(folder) == report.path
    assert report.rules == 2  # the checksum noise is off, and nothing is dropped by a watcher
    assert "\ndrop " not in text
    file.write_text(GOOD + BAD)
    with pytest.raises(InputError, match=r"9900009: a broken one.*last good set stays"):
        rules_update.update(folder, Settings(), file=file)
    assert report.path.read_text() == text
    assert [path.name for path in folder.iterdir() if path.name.startswith(".update")] == []


def test_real_rules_that_this_suricata_refuses_are_kept_out(shared: Path, tmp_path: Path) -> None:
    archive = shared / "rules" / "et-open-2020-04-part.tar.gz"
    with pytest.raises(InputError, match="Suricata refuses the new rules"):
        rules_update.update(tmp_path, Settings(), file=archive)
    assert rules_update.current(tmp_path) is None


def test_what_to_fetch_is_named_and_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rule source is enabled"):
        rules_update.update(tmp_path, Settings())
    with pytest.raises(ConfigError, match="'et-close' is none of et-open"):
        rules_update.update(tmp_path, Settings(rule_sources=("et-close",)))
    with pytest.raises(InputError, match="no such file"):
        rules_update.update(tmp_path, Settings(), file=tmp_path / "absent.rules")
