"""Propose that a new device is an old one with a new hardware address.

Phones and laptops make their hardware address up and change it now and then. What
they keep is their name, the options their DHCP client asks for, and how their
programs speak. The two must not have been here at the same time. A person answers;
a refused pair is never proposed again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.intel.vendors import is_randomised

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from guardian.detect.devices.settings import Settings
    from guardian.store import Reader, Transaction

_NAMES = ("dhcp_name", "mdns_name", "client_name", "netbios_name")
_WEIGHTS = (
    (_NAMES, 5, "the name {value}"),
    (("dhcp_params",), 2, "the options its DHCP client asks for"),
    (("vendor_class",), 1, "the DHCP client {value}"),
    (("model",), 2, "the model {value}"),
    (("tls_client",), 2, "how its programs open TLS"),
    (("user_agent",), 1, "the program {value}"),
)

_COMMON_NAMES = frozenset({"iphone", "ipad", "android", "localhost", "macbook", "galaxy", "phone"})
"""Names that many things have; worth little."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device as merging looks at it."""

    id: str
    mac: str
    first: datetime
    last: datetime
    hints: Mapping[str, frozenset[str]]


def propose(tx: Transaction, ids: Iterable[str], settings: Settings, now: datetime) -> int:
    """Write proposals for those of ``ids`` whose address is made up; return how many are new."""
    everybody = _candidates(tx)
    made = 0
    for new in (everybody[each] for each in sorted(set(ids)) if each in everybody):
        if not is_randomised(new.mac):
            continue
        scored = sorted(
            (
                (*score(new, old), old.id)
                for old in everybody.values()
                if _may_be(new, old, settings)
            ),
            key=lambda item: (-item[0], item[2]),
        )
        if not scored or scored[0][0] < settings.merge_min_score:
            continue
        if len(scored) > 1 and scored[1][0] == scored[0][0]:
            continue  # Two old devices fit as well as each other: there is no saying which.
        points, reasons, old_id = scored[0]
        before = tx.value("SELECT count(*) FROM merge_proposal")
        tx.execute(
            "INSERT INTO merge_proposal (device_id, into_id, score, reasons, created_at) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [new.id, old_id, points, reasons, now],
        )
        made += int(tx.value("SELECT count(*) FROM merge_proposal") - before)
    return made


def score(new: Candidate, old: Candidate) -> tuple[int, list[str]]:
    """Return the points for two devices being one, and what they share."""
    total, reasons = 0, []
    for sources, weight, words in _WEIGHTS:
        shared = sorted(
            set().union(*(new.hints.get(each, frozenset()) for each in sources))
            & set().union(*(old.hints.get(each, frozenset()) for each in sources))
        )
        if not shared:
            continue
        common = sources == _NAMES and all(each.lower() in _COMMON_NAMES for each in shared)
        total += 2 if common else weight
        reasons.append(f"both have {words.format(value=f'“{shared[0]}”')}")
    return total, reasons


def _may_be(new: Candidate, old: Candidate, settings: Settings) -> bool:
    overlap = timedelta(seconds=settings.merge_max_overlap_s)
    gap = timedelta(days=settings.merge_max_gap_days)
    return (
        old.id != new.id
        and old.first < new.first
        and old.last <= new.first + overlap
        and new.first - old.last <= gap
    )


def _candidates(reader: Reader) -> dict[str, Candidate]:
    hints: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in reader.rows(
        "SELECT device_id, source, value FROM device_hint "
        "WHERE source IN ('dhcp_name', 'mdns_name', 'client_name', 'netbios_name', 'dhcp_params', "
        "'vendor_class', 'model', 'tls_client', 'user_agent')"
    ):
        hints[row["device_id"]][row["source"]].add(row["value"])
    rows = reader.rows(
        "SELECT device_id, mac, first_seen, last_seen FROM device "
        "WHERE mac IS NOT NULL AND merged_into IS NULL ORDER BY device_id"
    )
    return {
        row["device_id"]: Candidate(
            row["device_id"], row["mac"], row["first_seen"], row["last_seen"],
            {source: frozenset(values) for source, values in hints[row["device_id"]].items()},
        )
        for row in rows
    }  # fmt: skip
