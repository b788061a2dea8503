"""Propose that a new device is an old one: with a new hardware address, or another network card.

Phones and laptops make their hardware address up and change it now and then. What
they keep is their name, the options their DHCP client asks for, how their programs
speak, and where they go. What few others in the house share weighs more. The two must
not have been here at the same time, except for two cards of one machine, which have
the same DHCPv6 identifier. A person answers; a refused pair is never proposed again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from guardian.intel.vendors import is_randomised, virtual_platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from guardian.detect.devices.settings import Settings
    from guardian.store import Reader, Transaction

_NAMES = ("dhcp_name", "mdns_name", "client_name", "netbios_name")
_DUID = 6
_WEIGHTS = (
    (_NAMES, 5, "both have the name {value}"),
    (("dhcp_params",), 2, "both ask for the same DHCP options"),
    (("vendor_class",), 1, "both have the DHCP client {value}"),
    (("model",), 2, "both say their model is {value}"),
    (("tls_client", "ja3"), 2, "both open TLS connections in the same way"),
    (("user_agent",), 1, "both use the program {value}"),
    (("duid",), _DUID, "both have the same DHCPv6 identifier"),
)

_RARE_AT_MOST = 2
"""Devices, the two at hand among them, that may share a fingerprint or place for it to be rare."""

_RARE_BONUS = 1
"""Points more for a TLS client or program that nobody else in the house has."""

_PLACES, _PLACES_LEAST, _PLACES_SHARE = 3, 5, 0.5
"""Points for going to the same rare places: at least so many, and so large a share of those of
the device that has fewer. Places are registered names that only these two ask for."""

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
    places: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class House:
    """How many devices share each fingerprint and each place."""

    hints: Mapping[tuple[str, str], int] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)

    def rare(self, source: str, value: str) -> bool:
        """Whether only the two at hand have it."""
        return self.hints.get((source, value), 0) <= _RARE_AT_MOST


def propose(tx: Transaction, ids: Iterable[str], settings: Settings, now: datetime) -> int:
    """Write proposals for those of ``ids`` that look like an older one; return how many are new."""
    wanted = sorted(set(ids))
    if not any(_may_ask(row["mac"]) for row in _macs(tx, wanted)):
        return 0
    everybody, house = _candidates(tx)
    made = 0
    for new in (everybody[each] for each in wanted if each in everybody):
        if not _may_ask(new.mac):
            continue
        scored = sorted(
            (
                (*score(new, old, house), old.id)
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


def score(new: Candidate, old: Candidate, house: House | None = None) -> tuple[int, list[str]]:
    """Return the points for two devices being one, and what they share."""
    house = house or House()
    total, rare, reasons = 0, False, []
    for sources, weight, words in _WEIGHTS:
        shared = sorted(
            set().union(*(new.hints.get(each, frozenset()) for each in sources))
            & set().union(*(old.hints.get(each, frozenset()) for each in sources))
        )
        if not shared:
            continue
        common = sources == _NAMES and all(each.lower() in _COMMON_NAMES for each in shared)
        total += 2 if common else weight
        rare = rare or (
            sources[0] in ("tls_client", "user_agent")
            and any(house.rare(source, each) for source in sources for each in shared)
        )
        reasons.append(words.format(value=f"“{shared[0]}”"))
    total += _RARE_BONUS if rare and house.hints else 0
    both = _rare_places(new, old, house)
    if both:
        total += _PLACES
        reasons.append(f"both go to {len(both)} places that nobody else here does")
    return total, reasons


def _rare_places(new: Candidate, old: Candidate, house: House) -> frozenset[str]:
    """Return the rare places of both, when they are many enough to mean something."""
    mine, theirs = (
        frozenset(each for each in one.places if house.places.get(each, 0) <= _RARE_AT_MOST)
        for one in (new, old)
    )
    both = mine & theirs
    enough = len(both) >= _PLACES_LEAST and len(both) >= _PLACES_SHARE * min(len(mine), len(theirs))
    return both if enough else frozenset()


def _may_ask(mac: str | None) -> bool:
    """Whether this may be somebody under a new address: all but virtual machines.

    A registered address is somebody new, unless it is a second card of the same machine.
    """
    return mac is not None and virtual_platform(mac) is None


def _may_be(new: Candidate, old: Candidate, settings: Settings) -> bool:
    if old.id == new.id or old.first >= new.first or virtual_platform(old.mac) is not None:
        return False
    if new.hints.get("duid", frozenset()) & old.hints.get("duid", frozenset()):
        return True
    overlap = timedelta(seconds=settings.merge_max_overlap_s)
    gap = timedelta(days=settings.merge_max_gap_days)
    return (
        is_randomised(new.mac) and old.last <= new.first + overlap and new.first - old.last <= gap
    )


def _macs(reader: Reader, ids: list[str]) -> list[dict[str, str | None]]:
    return reader.rows("SELECT mac FROM device WHERE list_contains(?, device_id)", [ids])


def _candidates(reader: Reader) -> tuple[dict[str, Candidate], House]:
    """Return every device with what it said and where it goes, all that counts as it included."""
    hints: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    shared: Counter[tuple[str, str]] = Counter()
    for row in reader.rows(
        "SELECT DISTINCT root, source, value FROM device_hint JOIN v_device_root USING (device_id) "
        "WHERE source IN ('dhcp_name', 'mdns_name', 'client_name', 'netbios_name', 'dhcp_params', "
        "'vendor_class', 'model', 'tls_client', 'ja3', 'user_agent', 'duid')"
    ):
        hints[row["root"]][row["source"]].add(row["value"])
        shared[row["source"], row["value"]] += 1
    places: dict[str, set[str]] = defaultdict(set)
    visited: Counter[str] = Counter()
    for row in reader.rows(
        "SELECT DISTINCT root, registrable FROM device_asked JOIN v_device_root USING (device_id) "
        "WHERE registrable IN (SELECT registrable FROM device_asked GROUP BY 1 "
        f"HAVING count(*) BETWEEN 2 AND {2 * _RARE_AT_MOST}) LIMIT 200000"
    ):
        places[row["root"]].add(row["registrable"])
        visited[row["registrable"]] += 1
    rows = reader.rows(
        "SELECT d.device_id, d.mac, min(m.first_seen) AS first_seen, max(m.last_seen) AS last_seen "
        "FROM device d JOIN v_device_root r ON r.root = d.device_id "
        "JOIN device m ON m.device_id = r.device_id "
        "WHERE d.mac IS NOT NULL AND d.merged_into IS NULL GROUP BY ALL ORDER BY d.device_id"
    )
    found = {
        row["device_id"]: Candidate(
            row["device_id"],
            row["mac"],
            row["first_seen"],
            row["last_seen"],
            {source: frozenset(values) for source, values in hints[row["device_id"]].items()},
            frozenset(places[row["device_id"]]),
        )
        for row in rows
    }
    return found, House(shared, visited)
