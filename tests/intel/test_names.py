"""Names come in one spelling, and their registered part is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardian.intel import names


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("WWW.Example.COM.", "www.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("_dns.resolver.arpa", "_dns.resolver.arpa"),
        ("tv", "tv"),
        ("1.2.3.4", None),
        ("2001:db8::1", None),
        ("", None),
        (".", None),
        ("a..b", None),
        ("a b.example", None),
        ("evil\x00.example", None),
        ("-a.example", None),
        ("a" * 64 + ".example", None),
        (".".join(["a" * 60] * 5), None),
    ],
)
def test_one_spelling(raw: str, expected: str | None) -> None:
    assert names.normalise(raw) == expected


@given(st.text(max_size=300))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = names.normalise(text)
    assert once is None or (names.normalise(once) == once and len(once) <= names.MAX_NAME)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.bbc.co.uk", "bbc.co.uk"),
        ("acr-us-prd.samsungcloud.tv", "samsungcloud.tv"),
        ("someone.github.io", "someone.github.io"),
        ("co.uk", None),
        ("localhost", None),
        ("10.0.0.1", None),
    ],
)
def test_registered_part(name: str, expected: str | None) -> None:
    assert names.registrable(name) == expected


def test_many_names_at_once() -> None:
    found = names.registrable_many(["a.b.com", "b.com", None, "a.b.com", "com"])
    assert found == {"a.b.com": "b.com", "b.com": "b.com", "com": None}


def test_below_counts_labels_not_letters() -> None:
    assert names.is_below("a.example.com", "example.com")
    assert names.is_below("example.com", "example.com")
    assert not names.is_below("notexample.com", "example.com")
    assert names.parents("a.b.c") == ["a.b.c", "b.c", "c"]
