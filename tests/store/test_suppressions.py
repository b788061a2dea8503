from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from guardian.errors import InputError, UsageError
from guardian.store import findings, incidents, ingest, suppressions
from guardian.store.suppressions import Filter

if TYPE_CHECKING:
    from guardian.store import Store

INSERT = """
INSERT INTO finding
VALUES (?, ?, 'low', 'd', 't', 'k', ?, '10.0.0.1', ?, ?, ?, 1, ?, [], [], ?, ?)
"""


@pytest.fixture
def filled(memory_store: Store) -> Store:
    now = ingest.utc_now() - timedelta(days=2)
    with memory_store.transaction() as tx:
        for number, (kind, device, peers, facts) in enumerate(
            [
                ("acr", "d1", ["log.acr.example"], "{}"),
                ("acr", "d2", ["notacr.example"], "{}"),
                ("exploit", "d1", ["198.51.100.7"], '{"signature_id": 9000001}'),
            ]
        ):
            tx.execute(
                INSERT, [f"f{number}", kind, device, peers, now, now, facts, now, number + 1]
            )
    return memory_store


def shown(store: Store) -> set[str]:
    with store.read() as reader:
        return {row["id"] for row in findings.as_json(reader)}


@pytest.mark.parametrize(
    ("what", "hidden"),
    [
        (Filter(finding_class="acr"), {"f0", "f1"}),
        (Filter(finding_class="acr", device_id="d1"), {"f0"}),
        (Filter(domain="ACR.example"), {"f0"}),
        (Filter(domain="acr.example", subdomains=False), set()),
        (Filter(address="198.51.100.7"), {"f2"}),
        (Filter(signature_id=9000001), {"f2"}),
        (Filter(address="10.0.0.1"), {"f0", "f1", "f2"}),
    ],
)
def test_preview_and_act_agree_and_lifting_brings_back(
    filled: Store, what: Filter, hidden: set[str]
) -> None:
    before = shown(filled)
    preview = suppressions.add(filled, what, author="k", reason="r", dry_run=True)
    assert shown(filled) == before
    assert preview["findings"] == preview["incidents"] == len(hidden)
    done = suppressions.add(filled, what, author="k", reason="r")
    assert shown(filled) == before - hidden
    suppressions.lift(filled, done["id"])
    assert shown(filled) == before


def test_lists_and_incidents_hide_the_same(filled: Store) -> None:
    for what, hidden in (
        (Filter(address="10.0.0.1"), {1, 2, 3}),  # who did it, not only whom it met
        (Filter(domain="acr.example"), {1}),
    ):
        number = suppressions.add(filled, what, author="me", reason="mine")["id"]
        with filled.read() as reader:
            assert incidents.suppressed_incidents(reader) == hidden
        suppressions.lift(filled, number)
    with filled.read() as reader:
        assert incidents.suppressed_incidents(reader) == set()


def test_nothing_and_no_reason_are_refused(filled: Store) -> None:
    with pytest.raises(UsageError, match="name what to hide"):
        suppressions.add(filled, Filter(), author="k", reason="r")
    with pytest.raises(UsageError, match="reason"):
        suppressions.add(filled, Filter(finding_class="acr"), author="k", reason=" ")
    with pytest.raises(InputError, match="no suppression 99"):
        suppressions.lift(filled, 99)


def test_an_expired_one_hides_nothing(filled: Store) -> None:
    suppressions.add(filled, Filter(finding_class="acr"), author="k", reason="r", days=1)
    with filled.transaction() as tx:
        tx.execute("UPDATE suppression SET expires_at = created_at - INTERVAL 1 DAY")
    assert len(shown(filled)) == 3
