"""How Guardian itself is: green, amber or red, each with its reasons in plain words.

A failure is never hidden: a missing sensor, a lagging reader, dropped packets, a
full disk or a failed detector makes the house "not all seen", and says since when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from guardian.intel import list_state
from guardian.ops import cold, storage
from guardian.store import model_endpoints, retention, room
from guardian.store.ingest import DROPS_WINDOW_S, utc_now
from guardian.triage import quality

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Reader, Store

LAG_AMBER_S = 120.0
"""A source that was not read for this long while the daemon runs lags."""
REJECTED_AMBER = 0.05
"""This share of refused input means that a format is not understood."""
LOST_ON_THE_WAY = ("netflow",)
"""Sources whose messages are numbered, so that what never arrived is known too."""
FREE_AMBER = 2.0
"""Below so many times the disk's floor (``retention.kept_free``) the keeper should act."""
FREE_RED = 0.5
"""Below so much of the floor collecting may stop at any moment."""

_ORDER = ("green", "amber", "red")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that is not as it should be, and what to do about it."""

    state: str
    about: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The worst state of all reasons, and the reasons, worst first."""

    state: str
    reasons: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form of ``guardian status``."""
        return {
            "state": self.state,
            "reasons": [
                {"state": reason.state, "about": reason.about, "text": reason.text}
                for reason in self.reasons
            ],
        }


def health(store: Store, *, running: bool, now: datetime | None = None) -> Health:
    """Look at every part that can fail in silence."""
    now = now or utc_now()
    with store.read() as reader:
        reasons = [
            *_sources(reader, running=running, now=now),
            *_detectors(reader),
            *_enforcements(reader),
            *_components(reader),
            *_models(reader, now=now),
        ]
    reasons += [*_lists(store), *_disk(store), *_store(store, now)]
    reasons.sort(key=lambda reason: -_ORDER.index(reason.state))
    return Health(state=reasons[0].state if reasons else "green", reasons=tuple(reasons))


def forget_components(store: Store) -> None:
    """Forget what an earlier run said of its parts: those of this one speak for themselves."""
    with store.transaction() as tx:
        tx.execute("DELETE FROM component_state")


def set_component(store: Store, name: str, state: str, detail: str) -> None:
    """Record the state of a part of Guardian; ``since`` moves only when it changes.

    A part that is already known to be as it is costs no write.
    """
    with store.read() as reader:
        old = reader.one("SELECT state, detail FROM component_state WHERE name = ?", [name])
    if old == {"state": state, "detail": detail}:
        return
    with store.transaction() as tx:
        tx.execute(
            """
            INSERT INTO component_state VALUES ($name, $state, $now, $detail)
            ON CONFLICT (name) DO UPDATE SET
                since = CASE WHEN state = excluded.state THEN since ELSE excluded.since END,
                state = excluded.state, detail = excluded.detail
            """,
            {"name": name, "state": state, "now": utc_now(), "detail": detail[:500]},
        )


def _sources(reader: Reader, *, running: bool, now: datetime) -> list[Reason]:
    rows = reader.rows(
        "SELECT s.*, p.* EXCLUDE (source_id) "
        "FROM source s LEFT JOIN source_pace p USING (source_id) ORDER BY name"
    )
    if not rows:
        text = "nothing is being read; name a source: guardian run --eve PATH"
        return [Reason(state="amber", about="sources", text=text)]
    # What was read once by hand, or is no source any more, is no trouble now.
    watched = [row for row in rows if row["caught_up"] is not None] or rows
    return [reason for row in watched for reason in _source(row, running=running, now=now)]


def _source(row: dict[str, Any], *, running: bool, now: datetime) -> list[Reason]:
    name, found = row["name"], []
    if row["state"] != "ok":
        text = f"{name}: {row['detail'] or row['state']}"
        found.append(Reason(state="red", about=name, text=text))
    if running and (late := _late(row, now)):
        found.append(Reason(state="amber", about=name, text=late))
    seen = row["events"] + row["rejected"]
    if row["rejected"] and row["rejected"] >= REJECTED_AMBER * seen:
        text = f"{name}: {row['rejected']:,} of {seen:,} pieces could not be read"
        found.append(Reason(state="amber", about=name, text=text))
    window = timedelta(seconds=DROPS_WINDOW_S)
    if row["dropped_at"] and now - row["dropped_at"] < window:
        way = "on the way here, or " if row["kind"] in LOST_ON_THE_WAY else ""
        text = (
            f"{name}: {row['dropped_lately']:,} events were lost lately {way}because they came "
            "faster than Guardian could store them"
        )
        found.append(Reason(state="amber", about=name, text=text))
    return found


def _late(row: dict[str, Any], now: datetime) -> str | None:
    """Say that a source is not read, or is read more slowly than it grows."""
    limit = timedelta(seconds=LAG_AMBER_S)
    read, whole = row["last_read"], row["caught_up"]
    if whole is None:  # read once by hand, or not a source of this house any more
        return None
    if now - max(read or whole, whole) > limit:
        minutes = (now - max(read or whole, whole)) // timedelta(minutes=1)
        return f"{row['name']} was last read {minutes} minutes ago"
    if now - whole > limit:
        minutes = (now - whole) // timedelta(minutes=1)
        return (
            f"{row['name']} grows faster than Guardian reads it: what is shown of it may be "
            f"{minutes} minutes old; nothing is lost"
        )
    return None


def _detectors(reader: Reader) -> list[Reason]:
    rows = reader.rows(
        "SELECT detector, error FROM detector_mark WHERE error IS NOT NULL ORDER BY detector"
    )
    return [
        Reason(state="amber", about=row["detector"], text=f"{row['detector']}: {row['error']}")
        for row in rows
    ]


def _enforcements(reader: Reader) -> list[Reason]:
    failed = reader.rows(
        "SELECT responder, count(*) AS number, max(error) AS error FROM enforcement "
        "WHERE state = 'failed' GROUP BY responder ORDER BY responder"
    )
    return [
        Reason(
            state="amber",
            about=row["responder"],
            text=f"{row['number']} change(s) through {row['responder']} failed: {row['error']}",
        )
        for row in failed
    ]


def _components(reader: Reader) -> list[Reason]:
    rows = reader.rows("SELECT * FROM component_state WHERE state <> 'green' ORDER BY name")
    return [
        Reason(state=row["state"], about=row["name"], text=f"{row['name']}: {row['detail']}")
        for row in rows
    ]


def _lists(store: Store) -> list[Reason]:
    """Say which blocklist sources are held back, and what a person can do about it."""
    if store.path is None:
        return []
    reasons = []
    for row in list_state.held(store.path.parent / "lists"):
        name = row["name"]
        text = f"the blocklist source {name} is held back: {row['held']}; its last good names stay"
        if row.get("held_sha256"):
            text += f". If that is right: guardian lists accept {name}"
        reasons.append(Reason(state="amber", about=name, text=text))
    return reasons


def _store(store: Store, now: datetime) -> list[Reason]:
    found = [*storage.reasons(store, now=now), *cold.reasons(store, now=now)]
    return [Reason(state=state, about=about, text=text) for state, about, text in found]


def _models(reader: Reader, *, now: datetime) -> list[Reason]:
    """Name models that may not be asked, and say when none of those there are can answer."""
    rows = [row for row in model_endpoints.endpoints(reader, now=now) if row["kind"] != "template"]
    found = [
        Reason(state="amber", about=row["name"], text=f"{row['name']}: {row['detail']}")
        for row in rows
        if row["state"] == "refused"
    ]
    telling = [row for row in rows if row["role"] != "embed"]
    if telling and all(row["state"] in ("away", "resting") for row in telling):
        names = ", ".join(row["name"] for row in telling)
        text = f"no model answers ({names}); words come from the templates"
        found.append(Reason(state="amber", about="models", text=text))
    return [
        *found,
        *(
            Reason(state="amber", about=gate.writer, text=f"words by {gate.writer}: {gate.text}")
            for gate in quality.asks(reader)
        ),
    ]


def _disk(store: Store) -> list[Reason]:
    if store.path is None:
        return []
    with store.read() as reader:
        free, floor = store.free_bytes(), retention.kept_free(store, reader)
    if free >= FREE_AMBER * floor:
        return []
    # Holes take rows; the log, and whatever else writes to this disk, need the disk itself.
    red = free < store.reserve_bytes * room.LOG_SHARE or (
        free + room.hole_bytes(store) < FREE_RED * floor
    )
    text = f"only {free / 1e9:.1f} GB of the disk are free for the store"
    return [Reason(state="red" if red else "amber", about="disk", text=text)]
