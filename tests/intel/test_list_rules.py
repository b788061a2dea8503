"""What each format's finer rules mean, and that real resolvers read what is written."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import dns.message
import dns.query
import dns.rcode
import dns.zone
import pytest

from fakes import dnsmasq as dnsmasq_part
from guardian.intel import list_formats, lists
from guardian.intel.list_formats import Format

if TYPE_CHECKING:
    from pathlib import Path

SBIN = "/usr/sbin:/usr/bin:/sbin:/bin"


def read(tmp_path: Path, text: str, kind: str | None = None) -> tuple[list[str], list[str]]:
    path = tmp_path / "list"
    path.write_text(text)
    found = list_formats.read(path, Format(kind) if kind else None)
    return sorted(found.block["name"]), sorted(found.allow["name"])


def test_adblock_rules_that_a_resolver_can_follow(tmp_path: Path) -> None:
    block, allow = read(
        tmp_path,
        "[Adblock Plus 2.0]\n"
        "||a.example.com^\n||b.example.com^$important\n||c.example.com^|\n"
        "0.0.0.0 d.example.com\ne.example.com\n"
        "||nx.example.com^$dnsrewrite=NXDOMAIN\n"
        # Not for a whole house, or nothing a resolver could do:
        "||one.example.com^$client=10.0.0.2\n||v6.example.com^$dnstype=AAAA\n"
        "||third.example.com^$third-party\n||x.example.com/ad.js\n##.banner\n/ads[0-9]/\n"
        "||moved.example.com^$dnsrewrite=1.2.3.4\n||ads.*.example.com^\n"
        # Undone, allowed, and an allowance that is stronger than the rest:
        "||undone.example.com^\n||undone.example.com^$badfilter\n"
        "@@||good.example.com^\n@@||x.b.example.com^\n@@||y.b.example.com^$important\n",
    )
    assert block == [f"{x}.example.com" for x in ("a", "b", "c", "d", "e", "nx")]
    assert allow == ["good.example.com", "y.b.example.com"]


@pytest.mark.parametrize("told", [None, "dnsmasq"])
def test_a_dnsmasq_server_is_no_block(told: str | None, tmp_path: Path) -> None:
    text = (
        "address=/a.example.com/0.0.0.0\naddress=/b.example.com/#\nlocal=/c.example.com/\n"
        "server=/d.example.com/\nserver=/corp.example.com/10.0.0.53\nserver=/good.example.com/#\n"
        "address=/nas.example.com/192.168.1.5\naddress=/e.example.com/f.example.com/::\n"
    )
    block, allow = read(tmp_path, text, told)
    assert block == [f"{x}.example.com" for x in "abcdef"]
    assert allow == ["good.example.com"]


def test_unbound_and_rpz_finer_points(tmp_path: Path) -> None:
    block, allow = read(
        tmp_path,
        'server:\nlocal-zone: "a.example.com" always_nxdomain\nlocal-zone: b.example.com. refuse\n'
        'local-data: "c.example.com A 0.0.0.0"\nlocal-data: "nas.example.com A 192.168.1.5"\n'
        'local-zone: "good.example.com" transparent\n',
    )
    assert (block, allow) == ([f"{x}.example.com" for x in "abc"], ["good.example.com"])
    block, allow = read(
        tmp_path,
        "$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\nx.example.com CNAME .\n*.x.example.com CNAME .\n"
        "32.1.2.0.192.rpz-ip CNAME .\nns.example.com.rpz-nsdname CNAME .\n"
        "y.example.com CNAME *.\nz.example.com A 192.168.1.1\nok.example.com CNAME rpz-passthru.\n",
    )
    assert (block, allow) == (["x.example.com", "y.example.com"], ["ok.example.com"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists with an exception below a blocked name, an IDN, and a name to allow."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "catalogue").mkdir()
    (folder / "sources.toml").write_text(
        '[[source]]\nname = "mine"\npath = "mine.txt"\npurpose = "x\\nlocal=/evil.example/"\n'
        '[[source]]\nname = "keep"\npath = "keep.txt"\nallow = true\n'
    )
    (folder / "mine.txt").write_text(
        "blocked.example\nsub.blocked.example\nbücher.example\ngone.example\n_srv.dns.example\n"
    )
    (folder / "keep.txt").write_text("fine.blocked.example\ngone.example\n")
    out = folder / "out"
    report = lists.build(folder, out)
    mine = report["lists"][0]
    assert (mine["names"], mine["exceptions"]) == (3, 1)
    return out


def test_unbound_reads_its_list(made: Path, tmp_path: Path) -> None:
    program = shutil.which("unbound-checkconf", path=SBIN)
    if program is None:
        pytest.skip("unbound is not installed")
    config = tmp_path / "unbound.conf"
    config.write_text(
        f'server:\n  chroot: ""\n  username: ""\n  directory: "{tmp_path}"\n'
        f'include: "{made}/guardian-all.unbound.conf"\ninclude: "{made}/mine.unbound.conf"\n'
    )
    done = subprocess.run([program, str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_dnsmasq_follows_its_list(made: Path, tmp_path: Path) -> None:
    program = shutil.which("dnsmasq", path=SBIN)
    if program is None:
        pytest.skip("dnsmasq is not installed")
    config = made / "mine.dnsmasq.conf"
    done = subprocess.run(
        [program, "--test", f"--conf-file={config}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    names = ("blocked.example", "fine.blocked.example", "other.example")
    world = dnsmasq_part.start(tmp_path / "world", world=dict.fromkeys(names, "203.0.113.7"))
    port = dnsmasq_part.free_port()
    house = subprocess.Popen(
        [
            program, "-k", f"--conf-file={config}", "--no-resolv", "--no-hosts", "--user=root",
            f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=",
            f"--server=127.0.0.1#{world.port}",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        said = {name: ask(port, name) for name in (*names, "deep.blocked.example")}
    finally:
        house.terminate()
        house.wait(60)
        world.close()
    assert said == {
        "blocked.example": "NXDOMAIN",
        "deep.blocked.example": "NXDOMAIN",
        "fine.blocked.example": "203.0.113.7",
        "other.example": "203.0.113.7",
    }


def ask(port: int, name: str) -> str:
    query = dns.message.make_query(name, "A")
    for attempt in range(30):
        try:
            answer = dns.query.udp(query, "127.0.0.1", port=port, timeout=2)
            break
        except (dns.exception.Timeout, OSError):
            assert attempt < 29, "dnsmasq does not answer"
    if answer.answer:
        return str(answer.answer[0][0])
    return dns.rcode.to_text(answer.rcode())


def test_dnspython_reads_the_zone(made: Path) -> None:
    zone = dns.zone.from_text((made / "mine.rpz").read_text(), origin="rpz.example.")
    said = {str(name): str(next(iter(zone[name].rdatasets))[0]) for name in zone.nodes}
    assert said["blocked.example"] == said["*.blocked.example"] == "."
    assert said["fine.blocked.example"] == said["*.fine.blocked.example"] == "rpz-passthru."
    assert "gone.example" not in said


def test_a_title_can_not_smuggle_a_rule(made: Path) -> None:
    for path in made.glob("mine.*"):
        if path.suffix != ".parquet":
            assert not any(line.startswith("local=/evil") for line in path.read_text().splitlines())


def test_what_a_format_cannot_say_is_said(made: Path) -> None:
    assert "exceptions that this format cannot say: 1" in (made / "mine.hosts").read_text()
    assert "@@||fine.blocked.example^" in (made / "mine.adguard.txt").read_text()


def test_the_changelog_says_what_changed(tmp_path: Path) -> None:
    (tmp_path / "catalogue").mkdir()
    (tmp_path / "sources.toml").write_text('[[source]]\nname = "mine"\npath = "mine.txt"\n')
    (tmp_path / "mine.txt").write_text("a.example\nb.example\n")
    lists.build(tmp_path, tmp_path / "out")
    (tmp_path / "mine.txt").write_text("b.example\nc.example\n")
    lists.build(tmp_path, tmp_path / "out")
    latest = (tmp_path / "out/CHANGES.md").read_text().split("## ")[1]
    assert "mine: 1 added, 1 removed\n  + c.example\n  - a.example" in latest
