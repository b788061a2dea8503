"""What was like this before: incidents as vectors, so that the house's memory is a fact.

Without any model the vector is made here, from what an incident is: its classes, the
destinations' registered names and companies, the kind of device, ports, rules, the
rhythm. With an ``embed`` endpoint at home a model makes one too, later; what it finds is
told when the story is next written, once, so nothing turns in a circle: the text that is
embedded holds nothing of what was found.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from typing import TYPE_CHECKING

from guardian.errors import TriageError
from guardian.intel import addresses, names
from guardian.model import words
from guardian.store import explanations, incident_state, vectors
from guardian.store.ingest import utc_now
from guardian.triage import job as jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from guardian.store import Reader, Store, Transaction
    from guardian.triage.load import Case, House
    from guardian.triage.pool import Pool
    from guardian.triage.settings import Settings

LOCAL = "local:1"
"""The method of this module; another number when its features or weights change."""

DIMENSIONS = 256
"""Length of a local vector: an incident has at most about 30 features."""

SIMILAR_AT = 0.8
"""Local cosine from which an earlier incident is told of. Measured on the 132 gold stories, two
by two: from 0.8 on, 46 of 71 pairs of one kind with a shared destination, company or rule are
found, and 5 of 585 of the same kind that share none (90 % are right); from 0.7 on 57 and 43
(57 %), from 0.9 on 40 and 3 (93 %). Of 7,990 pairs of different kinds none comes to 0.6. What is
told is a fact with a link, so that being right goes before finding all."""

EMBEDDED_AT = 0.9
"""The same for vectors of a model, whose texts about one network are all a little alike."""

BATCH = 16
"""Texts that a model is given at once."""

DEADLINE_S = 30.0

_CLASS, _NAME, _COMPANY, _RULE, _OTHER = 3.0, 2.0, 2.0, 2.0, 1.0


class Memory:
    """The vectors of incidents that are being written, and what each is like."""

    def __init__(self, reader: Reader, home: House, cases: Mapping[int, Case]) -> None:
        made = {number: features(case, home) for number, case in cases.items()}
        self._rows = [
            (number, source(each), vector(each)) for number, each in sorted(made.items()) if each
        ]
        wanted = {number: (cases[number].first_seen, row) for number, _, row in self._rows}
        near = vectors.nearest(reader, LOCAL, wanted, at_least=SIMILAR_AT)
        self._near = {number: other for number, (other, _) in near.items()}
        self._near.update(
            {number: other for number, other in vectors.similar(reader).items() if number in cases}
        )

    def like(self, number: int) -> int | None:
        """Return the earlier incident that this one is like, if there is one."""
        return self._near.get(number)

    def keep(self, tx: Transaction, *, now: datetime) -> None:
        """Write the vectors."""
        vectors.put(tx, LOCAL, self._rows, now=now)


def features(case: Case, home: House) -> dict[str, float]:
    """Return what an incident is, each with its weight."""
    found: dict[str, float] = {}
    for row in case.classes:
        # All classes together weigh as much as one, so that many alone are not enough.
        found[f"class {row['class']}"] = _CLASS / math.sqrt(len(case.classes))
    for peer in case.peers:
        found[f"to {_place(peer)}"] = _NAME
    for hit in case.hits[:4]:
        found[f"company {hit['company']}"] = _COMPANY
    for actor in case.devices[:4]:
        device = home.devices.get(actor) or home.devices.get(home.holders.get(actor, ""))
        found[f"device {device['kind'] if device else 'unknown'}"] = _OTHER
    return {**found, **dict(_details(case))}


def _details(case: Case) -> Iterator[tuple[str, float]]:
    for row in case.samples:
        facts = row["facts"]
        if isinstance(facts.get("signature_id"), int):
            yield f"rule {facts['signature_id']}", _RULE
        for key in ("port", "dest_port"):
            if isinstance(facts.get(key), int):
                yield f"port {facts[key]}", _OTHER
        interval = facts.get("interval_s")
        if isinstance(interval, (int, float)) and not isinstance(interval, bool) and interval > 0:
            # Half as long or twice as long is another rhythm.
            yield f"rhythm {round(math.log2(interval))}", _OTHER


def _place(peer: str) -> str:
    address = addresses.normalise(peer)
    if address is None:
        return names.registrable(peer) or peer
    # Neighbours belong to one owner more often than not.
    return address.rsplit("." if "." in address else ":", 1)[0]


def source(found: Mapping[str, float]) -> str:
    """Return the features as one bounded text: what a model embeds."""
    return words.clean("; ".join(sorted(found)), 1000)


def vector(found: Mapping[str, float]) -> list[float]:
    """Return the features as a vector of length one: each is hashed to a place and a sign."""
    row = [0.0] * DIMENSIONS
    for name, weight in found.items():
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        place = int.from_bytes(digest[:4]) % DIMENSIONS
        row[place] += weight if digest[4] & 1 else -weight
    size = math.sqrt(sum(each * each for each in row)) or 1.0
    return [each / size for each in row]


async def embed_pending(
    store: Store, settings: Settings, pool: Pool, *, now: datetime | None = None
) -> int:
    """Have a model make vectors of incidents that have none; return how many were made.

    Raises:
        StoreError: the store cannot be read or written.
        ConfigError: the time zone of the settings does not exist.
    """
    moment = now or utc_now()
    local = words.local(moment, words.zone(settings.timezone))
    method = await pool.method(local)
    if method is None:
        return 0
    rows = await asyncio.to_thread(_without, store, method)
    if not rows:
        return 0
    try:
        found = await pool.embed([row[1] for row in rows], local, deadline_s=DEADLINE_S)
    except TriageError:
        # Vectors are a help, never needed; the pool remembers that it failed.
        return 0
    made = [(n, text, each) for (n, text, _), each in zip(rows, found.rows, strict=True)]
    begins = {number: first for number, _, first in rows}
    await asyncio.to_thread(
        _keep, store, f"{found.model}@{found.digest[:12]}", made, begins, moment
    )
    call = explanations.Call(
        endpoint=found.endpoint,
        model=found.model,
        role="embed",
        outcome="vectors",
        seconds=found.seconds,
    )
    await asyncio.to_thread(jobs.record, store, call, moment)
    return len(made)


def _without(store: Store, method: str) -> list[tuple[int, str, datetime]]:
    with store.read() as reader:
        rows = vectors.without(reader, LOCAL, method, limit=BATCH)
    return [(row["incident_id"], row["source"], row["first_seen"]) for row in rows]


def _keep(
    store: Store,
    method: str,
    made: list[tuple[int, str, tuple[float, ...]]],
    begins: Mapping[int, datetime],
    now: datetime,
) -> None:
    with store.transaction() as tx:
        vectors.put(tx, method, made, now=now)
        wanted = {number: (begins[number], row) for number, _, row in made}
        near = vectors.nearest(tx, method, wanted, at_least=EMBEDDED_AT)
        if vectors.note_similar(tx, method, near, now=now):
            # The next run of triage looks at every story again and rewrites these.
            incident_state.write_stamp(tx, "")
