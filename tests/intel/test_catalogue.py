"""The shipped catalogue is clean and honest, and its matcher agrees with a plain one."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian import resources
from guardian.errors import RuleError
from guardian.intel import catalogue, names
from guardian.intel.matcher import Matcher, Patterns, literal_tail

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = resources.path(catalogue.FOLDER)


def test_shipped_catalogue_is_clean_and_large() -> None:
    known = catalogue.load()
    assert catalogue.lint(FOLDER) == []
    assert known.providers >= 250
    assert known.patterns >= 1200


@pytest.mark.parametrize(
    ("name", "entry", "classes"),
    [
        ("tkacr123.alphonso.tv", "acr.lg", ("acr",)),
        ("clockskew.alphonso.tv", "acr.lg_alphonso", ("acr",)),
        ("alexa.amazon.com", "voice_assistant.alexa_app", ("voice_assistant",)),
        ("weave-logsink.nest.com", "iot_telemetry.nest_log", ("iot_telemetry", "camera_cloud")),
        ("api.openai.com", "llm_api.openai_api", ("llm_api",)),
        ("www.openai.com", "llm_api.openai_web", ("llm_api",)),
        ("rekognition.eu-west-1.amazonaws.com", "biometric.rekognition", ("biometric_api",)),
        ("216.183.117.80", "acr.samba", ("acr",)),
    ],
)
def test_known_names(name: str, entry: str, classes: tuple[str, ...]) -> None:
    found = catalogue.load().match(name)
    assert found is not None
    assert (found.id, found.classes) == (entry, classes)


@pytest.mark.parametrize(
    "name",
    ["amazon.com", "www.google.com", "notopenai.com", "openai.com.evil.example", "pool.ntp.org"],
)
def test_names_that_nobody_lists(name: str) -> None:
    assert catalogue.load().match(name) is None


def test_many_names_come_back_as_they_were_given() -> None:
    frame = catalogue.load().match_many(["API.OpenAI.com.", "x.example", "*.samsungacr.com", ""])
    assert frame["name"].to_list() == ["*.samsungacr.com", "API.OpenAI.com."]


BAD = {
    "bare public suffix": 'names.suffix = ["co.uk"]',
    "too broad: it covers amazonaws.com": 'names.suffix = ["amazonaws.com"]',
    "never be blocked": 'names.exact = ["captive.apple.com"]',
    "covers lencr.org": 'names.suffix = ["lencr.org"]',
    "not anchored": 'names.regex = ["acr\\\\.example\\\\.com"]',
    "too broad: it matches www.example.com": 'names.regex = ["^[a-z]+\\\\.example\\\\.com$"]',
    "shadowed by example.com": 'names.suffix = ["example.com"]\nnames.exact = ["a.example.com"]',
    "not in normal form": 'names.exact = ["A.example.com"]',
    "not in sources.toml": 'names.exact = ["a.example.com"]\nsources = ["hearsay"]',
    "cannot carry the grade": 'names.exact = ["a.example.com"]\ngrade = "payload-validated"',
    "block is no safe action": 'names.exact = ["a.example.com"]\nbreakage = "unknown"',
    "names no source": 'names.exact = ["a.example.com"]\nsources = []',
    "no purpose is called": 'names.exact = ["a.example.com"]\npurposes = ["fun"]',
    "neither names nor addresses": "ports = [1]",
    "70000 is no port": 'names.exact = ["a.example.com"]\nports = [70000]',
    "is no JA4 fingerprint": 'names.exact = ["a.example.com"]\nja4 = ["t13"]',
}

HEAD = """
category = "x"
title = "x"
[defaults]
class = "acr"
purposes = ["viewing_profile"]
sends = "x"
breakage = "none"
safe_action = "block"
grade = "list"
sources = ["v2fly"]
[[entry]]
id = "x.one"
company = "X"
service = "Y"
"""


def folder_with(tmp_path: Path, body: str) -> Path:
    (tmp_path / "sources.toml").write_text((FOLDER / "sources.toml").read_text())
    (tmp_path / "x.toml").write_text(HEAD + body + "\n")
    return tmp_path


@pytest.mark.parametrize("problem", BAD)
def test_lint_refuses(problem: str, tmp_path: Path) -> None:
    errors = catalogue.lint(folder_with(tmp_path, BAD[problem]))
    assert len(errors) == 1
    assert problem in errors[0]


def test_lint_passes_what_is_right(tmp_path: Path) -> None:
    body = 'names.suffix = ["example.com"]\nnames.regex = ["^acr\\\\d+\\\\.example\\\\.net$"]'
    assert catalogue.lint(folder_with(tmp_path, body)) == []


def test_wrong_file_says_where(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"x\.toml: entry x\.one: .*colour"):
        catalogue.read(folder_with(tmp_path, 'names.exact = ["a.example.com"]\ncolour = "red"'))


def covers(entry: catalogue.Entry, listed: set[str]) -> bool:
    near: list[Callable[[str], bool]] = [
        *(lambda n, p=p: names.is_below(n, p) or names.is_below(p, n) for p in entry.names.suffix),
        *(lambda n, p=p: names.is_below(p, n) or n == p for p in entry.names.exact),
        *(lambda n, p=p: bool(re.match(p, n)) for p in entry.names.regex),
    ]
    return any(test(name) for test in near for name in listed)


def test_measured_sources_hold_what_is_said_of_them(shared: Path) -> None:
    """An entry that cites a list has at least one name that this list has too."""
    v2fly = {
        line.split("#")[0].split()[0].removeprefix("full:").removeprefix("domain:")
        for file in (shared / "lists/v2fly").iterdir()
        for line in file.read_text().splitlines()
        if line.split("#")[0].strip() and not line.startswith(("include:", "regexp:"))
    }
    behaviot = {
        part.removeprefix("*.")
        for file in (shared / "lists/behaviot").rglob("*.*")
        for line in file.read_text().splitlines()
        for part in re.split(r"[,\s]", line)
        if "." in part
    }
    for source, listed in (("v2fly", v2fly), ("behaviot", behaviot)):
        cited = [e for e in catalogue.load().entries if source in e.sources]
        assert cited
        assert [e.id for e in cited if not covers(e, listed)] == []


LABEL = st.sampled_from(["a", "b", "acr1", "acr22", "x"])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@given(
    suffix=st.sets(NAME.filter(lambda n: "." in n), max_size=4),
    exact=st.sets(NAME.filter(lambda n: "." in n), max_size=4),
    name=NAME,
)
def test_matcher_agrees_with_a_plain_one(suffix: set[str], exact: set[str], name: str) -> None:
    first, second = sorted(suffix), sorted(exact)
    matcher = Matcher(
        [
            Patterns(index=0, suffix=tuple(first)),
            Patterns(index=1, exact=tuple(second)),
            Patterns(index=2, regex=(r"^acr\d+\.a\.b$",)),
        ]
    )
    above = [s for s in first if names.is_below(name, s)]
    expected: tuple[int, str] | None = None
    if name in exact:
        expected = (1, name)
    elif re.match(r"^acr\d+\.a\.b$", name):
        expected = (2, r"^acr\d+\.a\.b$")
    elif above:
        expected = (0, "*." + max(above, key=len))
    found = matcher.match(name)
    assert (found and (found.index, found.pattern)) == expected
    many = matcher.match_many([name, "other.example"])
    assert many.height == (1 if expected and "." in name else 0)


@pytest.mark.parametrize(
    ("regex", "tail"),
    [
        (r"^(?:eu-|tk)?acr\d+\.alphonso\.tv$", "alphonso.tv"),
        (r"^[a-z0-9-]+-speech\.googleapis\.com$", "googleapis.com"),
        (r"^a\.b\.com$", "a.b.com"),
        (r"^a\.(?:b|c)$", ""),
    ],
)
def test_literal_tail(regex: str, tail: str) -> None:
    assert literal_tail(regex) == tail


def test_a_million_names_a_second() -> None:
    """The stated speed by processor time, so that a busy machine does not matter; half of it."""
    known = catalogue.load()
    day = [f"host{i % 5000}.example{i % 700}.com" for i in range(200_000)]
    day[::50] = ["api.openai.com"] * len(day[::50])
    started = time.process_time()
    found = sum(known.matcher.match(name) is not None for name in day)
    assert found == len(day[::50])
    assert len(day) / (time.process_time() - started) > 500_000


def test_names_that_a_stranger_would_try() -> None:
    known = catalogue.load()
    lines = (Path(__file__).parent / "known_names.txt").read_text().splitlines()
    wrong = []
    for line in lines[1:]:
        wanted, name = line.split()
        entry = known.match(name)
        got = entry.classes if entry else ("none",)
        if wanted not in got:
            wrong.append((name, wanted, got))
    assert wrong == []
    assert len(lines) > 200


def test_every_entry_says_what_a_person_needs() -> None:
    for entry in catalogue.load().entries:
        assert entry.sources, entry.id
        assert entry.sends, entry.id
        if entry.grade is catalogue.Grade.SUSPECTED:
            continue
        # More than a guess: some source that can carry the grade stands beside it.
        proofs = [catalogue.load().sources[key].proof for key in entry.sources]
        grades = list(catalogue.Grade)
        assert min(map(grades.index, proofs)) <= grades.index(entry.grade), entry.id


def test_hints_where_nothing_names_the_server(tmp_path: Path) -> None:
    body = (
        'names.exact = ["a.example.com"]\naddresses = ["203.0.113.7"]\n'
        '[[entry]]\nid = "x.two"\ncompany = "X"\nservice = "Z"\naddresses = ["203.0.113.8"]\n'
        'ports = [853]\nja4 = ["t13d1516h2_8daaf6152771_02713d6af862"]\n'
    )
    known = catalogue.read(folder_with(tmp_path, body))
    ja4 = "t13d1516h2_8daaf6152771_02713d6af862"

    def hint(**what: str | int) -> tuple[str, str] | None:
        found = known.hint(**what)  # type: ignore[arg-type]
        return found and (found.entry.id, found.basis)

    assert hint(address="203.0.113.7", port=1234) == ("x.one", "address")
    assert hint(address="203.0.113.8", port=853) == ("x.two", "address and port")
    assert hint(address="203.0.113.8", port=443) is None
    assert hint(address="203.0.113.8") is None
    assert hint(ja4=ja4) == ("x.two", "client fingerprint")
    assert hint(address="203.0.113.7", ja4=ja4) == ("x.one", "address")
    assert hint() is None
    # An address that is limited to ports is no name hit by itself, but a person may ask for it.
    assert known.match_many(["203.0.113.8", "203.0.113.7"])["name"].to_list() == ["203.0.113.7"]
    asked = known.match("203.0.113.8")
    assert asked is not None
    assert asked.id == "x.two"


def test_resolvers_of_the_rule_are_in_the_catalogue() -> None:
    """The rule on encrypted DNS and the catalogue name the same addresses."""
    text = resources.path("rules/detect/dns/encrypted_dns.sql").read_text()
    ips = {ip for ip, _ in catalogue.load().endpoints}
    assert ips
    assert [ip for ip in sorted(ips) if f'"{ip}"' not in text] == []
