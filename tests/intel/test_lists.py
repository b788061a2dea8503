"""Lists of every format are read, reduced, held back when in doubt, and written for resolvers."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dns.zone
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian import resources
from guardian.errors import InputError
from guardian.intel import list_explain, list_formats, lists
from guardian.intel.list_names import NameSet, reduce
from guardian.intel.names import is_below
from guardian.store import ingest

if TYPE_CHECKING:
    from guardian.store import Store

WANTED = ["ads.example.com", "tracker.example.net", "xn--bcher-kva.example"]

SAMPLES = {
    "hosts": "# head\n127.0.0.1 localhost\n0.0.0.0 Ads.Example.com # x\n"
    "0.0.0.0 tracker.example.net bücher.example\n",
    "domains": "# head\n*.ads.example.com\ntracker.example.net.\nbücher.example\n",
    "adblock": "[Adblock Plus]\n! head\n||ads.example.com^\n"
    "||tracker.example.net^$important\n||bücher.example^\n"
    "@@||good.example.com^\n||example.org/path^\n##.banner\n",
    "dnsmasq": "# head\naddress=/ads.example.com/\nlocal=/tracker.example.net/bücher.example/\n",
    "unbound": 'server:\nlocal-zone: "ads.example.com" always_nxdomain\n'
    'local-zone: "tracker.example.net" static\n'
    'local-zone: "bücher.example" always_null\n',
    "rpz": "$TTL 300\n@ IN SOA localhost. root.localhost. 1 2 3 4 5\n@ IN NS localhost.\n; head\n"
    "ads.example.com CNAME .\n*.ads.example.com CNAME .\ntracker.example.net 300 IN CNAME .\n"
    "bücher.example IN CNAME .\ngood.example.com CNAME rpz-passthru.\n",
}  # fmt: skip


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("told", [True, False])
def test_every_format(kind: str, told: bool, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(SAMPLES[kind])
    found = list_formats.read(path, list_formats.Format(kind) if told else None)
    assert sorted(found.block["name"]) == WANTED
    allowed = ["good.example.com"] if kind in ("adblock", "rpz") else []
    assert found.allow["name"].to_list() == allowed


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<html><body>not found, sorry about that</body></html>\n" * 5)
    with pytest.raises(InputError, match="no format"):
        list_formats.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        list_formats.read(tmp_path / "absent")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_break_a_reader(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list"
        path.write_bytes(data)
        for kind in list_formats.Format:
            found = list_formats.read(path, kind)
            assert all(name == name.lower() and len(name) <= 253 for name in found.block["name"])


NAME = st.lists(st.sampled_from("abc"), min_size=2, max_size=5).map(".".join)


@settings(deadline=None)
@given(st.lists(NAME, max_size=12), NAME)
def test_reducing_agrees_with_a_plain_one(names: list[str], asked: str) -> None:
    kept = reduce(pl.Series("name", names, dtype=pl.String)).to_list()
    plain = {n for n in names if not any(n != p and is_below(n, p) for p in names)}
    assert kept == sorted(plain)
    covered = NameSet(pl.Series("name", kept, dtype=pl.String)).covers([asked])[0]
    assert covered == any(is_below(asked, name) for name in names)


def house(tmp_path: Path, content: str) -> tuple[Path, Path]:
    folder = tmp_path / "blocklists"
    folder.mkdir(exist_ok=True)
    (folder / "sources.toml").write_text(
        '[[source]]\nname = "mine"\npath = "mine.txt"\npurpose = "test"\nlicence = "CC0"\n'
    )
    (folder / "catalogue").mkdir(exist_ok=True)
    (folder / "mine.txt").write_text(content)
    return folder, tmp_path / "out"


def test_outputs_say_the_same(tmp_path: Path) -> None:
    folder, out = house(tmp_path, "ads.example.com\nx.ads.example.com\ntracker.example.net\n")
    report = lists.build(folder, out)
    assert [(row["name"], row["names"]) for row in report["lists"]] == [
        ("mine", 2),
        ("guardian-all", 2),
    ]
    names = ["ads.example.com", "tracker.example.net"]
    for suffix, kind in {
        "hosts": "hosts", "domains.txt": "domains", "adguard.txt": "adblock",
        "pihole.txt": "adblock", "dnsmasq.conf": "dnsmasq", "unbound.conf": "unbound", "rpz": "rpz",
    }.items():  # fmt: skip
        found = list_formats.read(out / f"mine.{suffix}", list_formats.Format(kind))
        assert sorted(found.block["name"]) == names, suffix
    zone = dns.zone.from_text((out / "mine.rpz").read_text(), origin="rpz.example.")
    assert {str(name) for name in zone.nodes} >= {"ads.example.com", "*.ads.example.com", "@"}
    first = {path.name: path.read_bytes() for path in out.glob("mine.*")}
    again = lists.build(folder, out)
    assert {path.name: path.read_bytes() for path in out.glob("mine.*")} == first
    assert all(row["added"] == row["removed"] == 0 for row in again["lists"])


def many(count: int) -> str:
    return "".join(f"host{i}.example.com\n" for i in range(count))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (many(49), "shrank from 100 to 49"),
        (many(100) + "captive.apple.com\n", "captive.apple.com, which must never"),
        (many(100) + "duckduckgo.com\n", "duckduckgo.com, which many homes need"),
        (many(100) + "apple.com\n", "apple.com, which must never"),
        (many(100) + "x.debian.org\n", "x.debian.org, which must never"),
        ("<html>\n" * 9, "no format"),
    ],
)
def test_a_doubtful_source_is_held_back(bad: str, reason: str, tmp_path: Path) -> None:
    folder, out = house(tmp_path, many(100))
    lists.build(folder, out)
    before = (out / "mine.domains.txt").read_bytes()
    house(tmp_path, bad)
    report = lists.build(folder, out)
    assert reason in report["sources"][0]["held"]
    assert (out / "mine.domains.txt").read_bytes() == before
    assert "held back" in (out / "CHANGES.md").read_text()
    house(tmp_path, many(60))
    assert lists.build(folder, out)["sources"][0]["held"] is None


def test_an_allowed_name_leaves_every_list(tmp_path: Path) -> None:
    folder, out = house(tmp_path, "||a.example.com^\n||b.example.com^\n@@||b.example.com^\n")
    lists.build(folder, out)
    assert list_formats.read(out / "mine.domains.txt").block["name"].to_list() == ["a.example.com"]


def test_own_lists_hold_what_breaks_nothing(tmp_path: Path) -> None:
    report = lists.build(resources.path("blocklists"), tmp_path / "out", formats=["domains"])
    counts = {row["name"]: row["names"] for row in report["lists"]}
    assert counts["guardian-acr"] > 5
    names = (tmp_path / "out/guardian-all.domains.txt").read_text().splitlines()
    assert "samsungacr.com" in names
    assert not {"ring.com", "tvinteractive.tv", "acr0.samsungcloudsolution.com"} & set(names)


def test_explain(store: Store) -> None:
    assert store.path is not None
    lists.build(resources.path("blocklists"), store.path.parent / "lists", formats=["domains"])
    known = lists.explain("LOG-ingestion.samsungACR.com.", store)
    assert known["classes"] == ["acr"]
    assert (known["company"], known["evidence_grade"]) == ("Samsung", "payload-validated")
    assert {row["list"] for row in known["listed"]} == {"guardian-acr", "guardian-all"}
    assert known["blocked"] is True
    assert known["blocked_by"][0] | {"since": ""} == {
        "by": "list", "what": "guardian-acr", "pattern": "samsungacr.com", "since": "",
    }  # fmt: skip
    unknown = lists.explain("nobody.example", store)
    assert (unknown["classes"], unknown["company"], unknown["listed"]) == ([], None, [])
    assert lists.explain("captive.apple.com", store)["never_block"]
    json.dumps(known)
    assert unknown["blocked"] is False
    assert unknown["why"] == ["nobody lists it: neither Guardian's catalogue nor a source"]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("https://User@WWW.Samsungacr.com:8443/a?b#c", "www.samsungacr.com"),
        ("samsungacr.com/path", "samsungacr.com"),
        ("||samsungacr.com^", "samsungacr.com"),
        ("*.samsungacr.com", "samsungacr.com"),
        ("someone@samsungacr.com", "samsungacr.com"),
        ("samsungacr.com:443", "samsungacr.com"),
        ("  SAMSUNGACR.com.  ", "samsungacr.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("_dns.resolver.arpa", "_dns.resolver.arpa"),
        ("216.183.117.80", "216.183.117.80"),
        ("http://216.183.117.80:1234/x", "216.183.117.80"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8:0::1]:853", "2001:db8::1"),
    ],
)
def test_odd_names_are_understood(asked: str, name: str, memory_store: Store) -> None:
    known = lists.explain(asked, memory_store)
    assert known["name"] == name
    assert (known["company"] == "Samsung") == ("samsung" in name)
    json.dumps(known)


@pytest.mark.parametrize(
    "asked", ["", " ", "not a name", "..", "x" * 3000, "a..b", "\x00", "http://[", "http:///"]
)
def test_garbage_is_told(asked: str, memory_store: Store) -> None:
    with pytest.raises(InputError, match="is no DNS name") as error:
        lists.explain(asked, memory_store)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 150


@given(st.text(max_size=60))
def test_any_text_is_understood_or_told(text: str) -> None:
    try:
        name, is_address = list_explain.understand(text)
    except InputError:
        return
    assert list_explain.understand(name) == (name, is_address)


def test_an_address_says_who_went_there(store: Store) -> None:
    known = lists.explain("216.183.117.80", store)
    assert (known["kind"], known["company"], known["blocked"]) == ("address", "Samba TV", False)


@pytest.mark.parametrize("wrong", [0, 1])
def test_one_event_of_2099_does_not_make_the_rest_look_old(store: Store, wrong: int) -> None:
    now = ingest.utc_now()
    far = datetime(2099, 1, 1)
    with store.transaction() as tx:
        for number, ts in enumerate([now, now - timedelta(hours=3), now - timedelta(days=3)]):
            tx.execute(
                "INSERT INTO dns_log (id, ts, source_id, src_ip, rrname, rrtype, status) "
                "VALUES (?, ?, 1, '192.168.1.9', 'a.example.com', 'A', 'blocked')",
                [number, ts],
            )
            tx.execute(
                "INSERT INTO flow (id, ts, source_id, src_ip, dest_ip) "
                "VALUES (?, ?, 1, '192.168.1.9', '203.0.113.5')",
                [number + 10, ts],
            )
        if wrong:
            tx.execute(
                "INSERT INTO dns_log (id, ts, source_id, src_ip, rrname, rrtype) "
                "VALUES (20, ?, 1, '192.168.1.7', 'b.example.com', 'A')",
                [far],
            )
            tx.execute(
                "INSERT INTO flow (id, ts, source_id, src_ip, dest_ip) "
                "VALUES (21, ?, 1, '192.168.1.7', '203.0.113.6')",
                [far],
            )
    asked = lists.explain("example.com", store)
    assert [(row["device"], row["asked"]) for row in asked["asked_by"]] == [("192.168.1.9", 2)]
    assert [row["by"] for row in asked["blocked_by"]] == ["resolver"]
    met = lists.explain("203.0.113.5", store)["asked_by"]
    assert [(row["device"], row["asked"]) for row in met] == [("192.168.1.9", 2)]


def test_since_when_and_by_which_source(store: Store, tmp_path: Path) -> None:
    assert store.path is not None
    folder, _ = house(tmp_path, "a.example.com\n")
    out = store.path.parent / "lists"
    lists.build(folder, out)
    state = json.loads((out / "state.json").read_text())
    state["lists"]["mine"]["since"] = "2026-01-01T00:00:00Z"
    (out / "state.json").write_text(json.dumps(state))
    house(tmp_path, "a.example.com\nb.example.com\n")
    lists.build(folder, out)
    old, new = (lists.explain(f"x.{name}.example.com", store) for name in "ab")
    assert old["listed"][0]["since"] == "2026-01-01T00:00:00Z"
    assert new["listed"][0]["since"] > "2026-06-01"
    assert new["listed"][0] | {"since": ""} == {
        "list": "mine", "pattern": "b.example.com", "since": "", "source": "mine.txt",
        "licence": "CC0",
    }  # fmt: skip
    assert new["sources"] == ["the list mine, mine.txt"]
    assert new["listed"][-1]["source"] == "all lists together"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("captive.apple.com", "no list and no proposal may block it"),
        ("api.ring.com", "Guardian's lists leave it out"),
        ("log-config.samsungacr.com", "none is built yet"),
    ],
)
def test_why_a_name_is_not_blocked(name: str, reason: str, store: Store) -> None:
    known = lists.explain(name, store)
    assert known["blocked"] is False
    assert any(reason in why for why in known["why"])
