"""Files as people have them: saved on Windows, cut, named wrongly, or no files at all."""

from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING

import pytest

from guardian.cli import main
from guardian.collect import registry, text_trial
from guardian.collect.eve import EveCollector
from guardian.collect.kinds import detect_kind, followed_kind
from guardian.collect.reader import drain
from guardian.errors import InputError, UnknownFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from guardian.store import Store

BOM = b"\xef\xbb\xbf"
ADGUARD = (
    b'{"T":"2026-06-15T10:00:00.123456+02:00","QH":"a.example","QT":"A","QC":"IN","CP":"",'
    b'"IP":"192.168.1.5","Elapsed":12500000,"Result":{}}\n'
)
DNSMASQ = (
    b"Nov 20 20:00:01 gw dnsmasq[123]: 1 192.168.1.5/40000 query[A] %s.example from 192.168.1.5\n"
)
CONN_TOP = b"#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.resp_h\tproto\n"
CONN = b"1700000000.5\tC%d\t192.168.1.5\t192.0.2.9\ttcp\n"
CONN_JSON = (
    b'{"ts":1700000000.5,"uid":"C%d","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","proto":"udp"}\n'
)
KEA = (
    b"address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,"
    b"user_context,pool_id\n192.168.1.9,02:00:00:00:00:09,,3600,1795239878,1,0,0,tv,0,,0\n"
)
EVE = (
    b'{"timestamp":"2026-11-20T20:00:00.000000+0000","flow_id":%d,"event_type":"tls","src_ip":'
    b'"192.168.1.30","src_port":4,"dest_ip":"192.0.2.9","dest_port":443,"proto":"TCP","tls":{}}\n'
)
UNBOUND = b"[1781517600] unbound[5:0] info: 192.168.1.5 www.example.com. A IN NOERROR 0.01 0 50\n"
GOOD: dict[str, tuple[str, str, bytes, int]] = {
    "EVE": ("eve.json", "eve", EVE % 1 + EVE % 2, 2),
    "AdGuard": ("querylog.json", "adguard", ADGUARD * 2, 2),
    "dnsmasq": ("dnsmasq.log", "dnsmasq", DNSMASQ % b"a" + DNSMASQ % b"b", 2),
    "Pi-hole": ("pihole.log", "pihole-log", DNSMASQ.replace(b" gw", b"") % b"a", 1),
    "unbound": ("unbound.log", "unbound", UNBOUND * 2, 2),
    "Zeek": ("conn.log", "zeek", CONN_TOP + CONN % 1 + CONN % 2, 2),
    "Zeek in JSON": ("conn.log", "zeek", CONN_JSON % 1 + CONN_JSON % 2, 2),
    "Kea": ("kea-leases4.csv", "kea-leases", KEA, 1),
    "leases": ("dnsmasq.leases", "dnsmasq-leases",
               b"1795239878 02:00:00:00:00:07 192.168.1.7 phone 01:02\n", 1),
}  # fmt: skip


@pytest.mark.parametrize("what", GOOD)
def test_a_log_that_was_saved_on_windows_says_the_same(
    memory_store: Store, tmp_path: Path, what: str
) -> None:
    name, kind, data, events = GOOD[what]
    log = tmp_path / name
    log.write_bytes(BOM + data.replace(b"\n", b"\r\n"))
    assert detect_kind(log) == kind
    got = drain(memory_store, registry.KINDS[kind](log), final=True)
    assert (got.events, got.rejected, got.error) == (events, 0, None)


def test_a_marked_log_grows_on(memory_store: Store, tmp_path: Path) -> None:
    for name, kind, first, more in [
        ("conn.log", "zeek", CONN_TOP + CONN % 1, CONN % 2),
        ("querylog.json", "adguard", ADGUARD, ADGUARD.replace(b"a.ex", b"b.ex")),
    ]:
        log = tmp_path / name
        log.write_bytes(BOM + first)
        assert drain(memory_store, registry.KINDS[kind](log)).events == 1
        with log.open("ab") as file:
            file.write(more)
        got = drain(memory_store, registry.KINDS[kind](log), final=True)
        assert (got.events, got.rejected) == (1, 0)


def test_a_marked_log_can_be_tried(tmp_path: Path) -> None:
    log = tmp_path / "unbound.log"
    log.write_bytes(BOM + UNBOUND)
    assert text_trial._fitting(log).kind == "unbound"


def test_what_would_make_us_wait_is_no_input(memory_store: Store, tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to never returns."""
    pipe = tmp_path / "eve.json"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="it is a pipe, not a file"):
        detect_kind(pipe)
    for kind in ("eve", "unbound", "dnsmasq-leases", "zeek", "pihole-db"):
        error = drain(memory_store, registry.KINDS[kind](pipe)).error
        assert error is not None
        assert "\n" not in error


def test_a_text_is_no_database(memory_store: Store, tmp_path: Path) -> None:
    file = tmp_path / "pihole-FTL.db"
    file.write_bytes(UNBOUND)
    error = drain(memory_store, registry.KINDS["pihole-db"](file)).error
    assert error == f"{file} is not an SQLite database, so not Pi-hole's"


def test_utf_16_is_named(tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_bytes((EVE % 1).decode().encode("utf-16"))
    with pytest.raises(UnknownFormatError, match="UTF-16 text: convert it"):
        detect_kind(log)


def test_a_file_of_which_nothing_could_be_read_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "eve.json"
    log.write_bytes(b"[" + (EVE % 1).strip() + b",\n" + (EVE % 2).strip() + b"]\n")
    data = str(tmp_path / "data")
    assert main(["replay", str(log), "--data", data, "--format", "json"]) == 3
    said = capsys.readouterr()
    (one,) = json.loads(said.out)["inputs"]
    assert (one["events"], one["rejected"]) == (0, 2)
    assert said.err.strip() == f"guardian: {log}: nothing in it could be read: 2 refused"


def test_a_log_that_becomes_a_folder_and_a_log_again(memory_store: Store, tmp_path: Path) -> None:
    log = tmp_path / "eve.json"
    log.write_bytes(EVE % 1)
    collector = EveCollector(path=log)
    drain(memory_store, collector)
    log.unlink()
    log.mkdir()
    assert drain(memory_store, collector).error == f"cannot read {log}: Is a directory"
    log.rmdir()
    log.write_bytes(EVE % 2)
    got = drain(memory_store, collector)
    assert (got.events, got.error) == (1, None)


@pytest.mark.parametrize("there", [True, False], ids=["empty", "not there"])
def test_a_log_with_nothing_in_it_yet_can_be_followed(tmp_path: Path, *, there: bool) -> None:
    """The daemon starts, whatever a rotation or a first boot left."""
    for name, kind in [
        ("conn.log", "zeek"),
        ("dhcp.leases", "dnsmasq-leases"),
        ("kea-leases4.csv", "kea-leases"),
        ("querylog.json", "adguard"),
        ("unbound.log", "unbound"),
    ]:
        if there:
            (tmp_path / name).touch()
        with pytest.raises(InputError):
            detect_kind(tmp_path / name)
        assert followed_kind(tmp_path / name) == kind
        assert followed_kind(tmp_path / "none" / name) == kind


def test_what_a_log_was_rotated_into_tells_its_kind(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    with pytest.raises(InputError, match="No such file"):
        followed_kind(log)
    log.touch()
    with pytest.raises(UnknownFormatError, match="is empty"):
        followed_kind(log)
    (tmp_path / "gateway.log.2").write_bytes(b"Lorem ipsum\n")
    (tmp_path / "gateway.log.1.gz").write_bytes(gzip.compress(UNBOUND))
    assert followed_kind(log) == "unbound"
    log.write_bytes(b"Lorem ipsum\n")
    with pytest.raises(UnknownFormatError, match="no collector knows"):
        followed_kind(log)
