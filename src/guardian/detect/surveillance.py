"""Say of every name that is new which entry of the catalogue knows it.

Rules join with the result (``name_hit``), so a rule is a plain query and no rule
matches names itself. When the catalogue changes, all names are looked at again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import polars as pl

from guardian.intel import catalogue, fingerprints
from guardian.store import contacts, findings, name_hits
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from guardian.intel.catalogue import Catalogue
    from guardian.store import Store

MARK = "surveillance.annotate"


def annotate(store: Store, *, now: datetime | None = None) -> int:
    """Add the catalogue's hits for names that came since the last call; return how many.

    Raises:
        RuleError: the catalogue is wrong; the message says where.
    """
    started = time.monotonic()
    known = catalogue.load()
    with store.read() as reader:
        upto = int(reader.value("SELECT next_id FROM row_counter")) - 1
        changed = name_hits.catalogue_digest(reader) != known.digest
        mark = findings.marks(reader).get(MARK)
        after = 0 if changed or mark is None else mark.last_id
        if upto <= after and not changed:
            return 0
        names = name_hits.fresh_names(
            reader, after=after, upto=upto, addresses=sorted(known.addresses)
        )
    hits = pl.concat([hits_of(known, names), hints_of(known)])
    with store.transaction() as tx:
        name_hits.set_fingerprints(tx, _measured())
        added = name_hits.replace(tx, hits, digest=known.digest, all_of_them=changed)
        if changed:
            contacts.rebuild(tx)
        seconds = time.monotonic() - started
        findings.set_mark(tx, MARK, last_id=upto, ran_at=now or utc_now(), seconds=seconds)
    return added


def _measured() -> pl.DataFrame:
    rows = [
        (row.device, row.proto, row.host, float(period))
        for row in fingerprints.load()
        for period in (row.period_s, row.longer_s)
        if period is not None
    ]
    return pl.DataFrame(rows, schema=["device", "proto", "name", "period_s"], orient="row")


def hits_of(known: Catalogue, names: list[str]) -> pl.DataFrame:
    """Return the rows of ``name_hit`` for some names: one for each class of the entry."""
    return _rows(known, known.match_many(names).iter_rows())


def hints_of(known: Catalogue) -> pl.DataFrame:
    """Return the rows that a connection without any name is matched with.

    Their names hold a bar, as no DNS name does: ``203.0.113.8|853`` is an address at a
    port, ``ja4|t13d…`` a client's fingerprint.
    """
    found = [
        *((f"{ip}|{port}", index) for (ip, port), index in known.endpoints.items()),
        *((f"ja4|{ja4}", index) for ja4, index in known.clients.items()),
    ]
    return _rows(known, ((name, index, name) for name, index in found))


def _rows(known: Catalogue, found: Iterable[tuple[str, int, str]]) -> pl.DataFrame:
    rows: list[tuple[object, ...]] = []
    for name, index, pattern in found:
        entry = known.entries[index]
        rows.extend(
            (
                name, entry.id, finding_class, entry.company, entry.service,
                list(entry.purposes), str(entry.grade), str(entry.breakage), pattern,
            )
            for finding_class in entry.classes
        )  # fmt: skip
    schema: dict[str, pl.DataType] = dict.fromkeys(name_hits.COLUMNS, pl.String())
    schema["purposes"] = pl.List(pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")
