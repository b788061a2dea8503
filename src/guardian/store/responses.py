"""Proposals, decisions and enforcements: how they are read and written.

Reading gives JSON values for the page and the command line. Writing keeps each
change of an enforcement and its step in one transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from guardian.model.response import EnforcementState, ProposalStatus, Target
from guardian.store import forecasts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from guardian.store.connection import Reader, Store, Transaction

LIVE = (
    EnforcementState.ASKED,
    EnforcementState.APPLIED,
    EnforcementState.VERIFIED,
    EnforcementState.REVERTING,
)
"""States in which something outside may be changed, or soon will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """One row of the journal. ``receipt`` and ``proof`` are JSON objects."""

    id: int
    proposal_id: int
    responder: str
    target: Target
    state: EnforcementState
    asked_at: datetime
    ends_at: datetime
    applied_at: datetime | None = None
    receipt: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    attempts: int = 0
    next_try_at: datetime | None = None
    checked_at: datetime | None = None
    watch: Mapping[str, Any] = field(default_factory=dict)


def target_json(target: Target) -> str:
    """Write a target as the store keeps it."""
    return json.dumps(
        {
            "names": list(target.names),
            "addresses": list(target.addresses),
            "subdomains": target.subdomains,
            "device_id": target.device_id,
            "device_ips": list(target.device_ips),
        },
        sort_keys=True,
    )


def target_from(text: str) -> Target:
    """Read a target as the store keeps it."""
    found = json.loads(text)
    return Target(
        names=tuple(found["names"]),
        addresses=tuple(found["addresses"]),
        subdomains=bool(found["subdomains"]),
        device_id=found["device_id"],
        device_ips=tuple(found["device_ips"]),
    )


def proposals(reader: Reader, *, incident: int | None = None) -> list[dict[str, Any]]:
    """Return the proposal rows, oldest first, each with the state of its last enforcement.

    ``ended_by`` is the channel of the last decision: ``expiry`` when it ended by itself.
    """
    rows = reader.rows(
        """
        SELECT p.*, e.state AS state, e.error AS error, e.reverted_at AS reverted_at,
               (SELECT arg_max(channel, id) FROM decision WHERE proposal_id = p.id) AS ended_by
        FROM proposal p
        LEFT JOIN enforcement e ON e.id = (
            SELECT max(id) FROM enforcement WHERE proposal_id = p.id
        )
        WHERE $incident IS NULL OR p.incident_id = $incident
        ORDER BY p.id
        """,
        {"incident": incident},
    )
    for row in rows:
        row["target"] = target_from(row["target"])
        row["forecast"] = json.loads(row["forecast"])
    return rows


def enforcements(
    reader: Reader, states: Iterable[EnforcementState] = LIVE
) -> tuple[Enforcement, ...]:
    """Return the enforcements that are in one of these states, oldest first."""
    names = [f.name for f in fields(Enforcement)]
    rows = reader.rows(
        f"SELECT {', '.join(names)} FROM enforcement WHERE list_contains($states, state) "
        "ORDER BY id",
        {"states": [str(state) for state in states]},
    )
    return tuple(
        Enforcement(
            **{
                **row,
                "target": target_from(row["target"]),
                "state": EnforcementState(row["state"]),
                "receipt": json.loads(row["receipt"] or "{}"),
                "watch": json.loads(row["watch"] or "{}"),
            }
        )
        for row in rows
    )


def open_enforcement(
    tx: Transaction, *, proposal: Mapping[str, Any], asked_at: datetime, ends_at: datetime
) -> int:
    """Begin the journal of one enforcement, in state *asked*; return its id."""
    found = int(tx.value("SELECT nextval('enforcement_seq')"))
    tx.execute(
        "INSERT INTO enforcement (id, proposal_id, responder, target, state, asked_at, ends_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            found,
            proposal["id"],
            proposal["responder"],
            proposal["target"],
            str(EnforcementState.ASKED),
            asked_at,
            ends_at,
        ],
    )
    note(tx, found, EnforcementState.ASKED, asked_at, None)
    return found


def begin_revert(tx: Transaction, enforcement: int, now: datetime, detail: str) -> None:
    """Write that an enforcement is to be undone."""
    state = EnforcementState.REVERTING
    _update(tx, enforcement, {"state": str(state), "attempts": 0, "next_try_at": None})
    note(tx, enforcement, state, now, detail)


def note(
    tx: Transaction, enforcement: int, state: EnforcementState, now: datetime, detail: str | None
) -> None:
    """Add one step to an enforcement's history."""
    tx.execute(
        "INSERT INTO enforcement_step VALUES (?, ?, ?, ?)",
        [enforcement, now, str(state), None if detail is None else detail[:1000]],
    )


def move(
    store: Store,
    enforcement: int,
    state: EnforcementState,
    now: datetime,
    *,
    detail: str | None = None,
    offer_again: int | None = None,
    **columns: object,
) -> None:
    """Write that an enforcement is now in ``state``, with its step, in one transaction.

    ``columns`` are columns of the table; mappings are written as JSON.
    ``offer_again`` is a proposal that waits for an answer once more.
    """
    stamp = {
        EnforcementState.APPLIED: "applied_at",
        EnforcementState.VERIFIED: "verified_at",
        EnforcementState.REVERTED: "reverted_at",
    }.get(state)
    if stamp:
        columns[stamp] = now
    changes = {"state": str(state), "attempts": 0, "next_try_at": None, **columns}
    with store.transaction() as tx:
        _update(tx, enforcement, changes)
        note(tx, enforcement, state, now, detail)
        if offer_again is not None:
            tx.execute(
                "UPDATE proposal SET status = ? WHERE id = ?",
                [str(ProposalStatus.PROPOSED), offer_again],
            )
            tx.execute(
                "UPDATE incident SET status = 'open' WHERE status = 'handled' AND id = "
                "(SELECT incident_id FROM proposal WHERE id = ?)",
                [offer_again],
            )


def update(store: Store, enforcement: int, **columns: object) -> None:
    """Write columns of an enforcement without a step."""
    with store.transaction() as tx:
        _update(tx, enforcement, columns)


def _update(tx: Transaction, enforcement: int, columns: Mapping[str, object]) -> None:
    names = ", ".join(f"{name} = ${name}" for name in columns)
    values = {
        name: json.dumps(value) if isinstance(value, dict) else value
        for name, value in columns.items()
    }
    tx.execute(f"UPDATE enforcement SET {names} WHERE id = $_id", {**values, "_id": enforcement})


def as_json(
    reader: Reader,
    *,
    status: str | None = None,
    incident: int | None = None,
    proposal: int | None = None,
) -> list[dict[str, Any]]:
    """Return proposals with what was said and done about each, newest first.

    ``state`` is that of the last enforcement (None when there was none);
    ``enforcements`` hold every one with its steps; ``decisions`` every answer;
    ``replayed`` is what the last week would have been under it (None: not made yet).
    Times are RFC 3339 in UTC.
    """
    rows = reader.rows(
        """
        SELECT p.*, i.title AS incident_title, d.name AS device
        FROM proposal p
        LEFT JOIN incident i ON i.id = p.incident_id
        LEFT JOIN device d ON d.device_id = (p.target ->> '$.device_id')
        WHERE ($status IS NULL OR p.status = $status)
          AND ($incident IS NULL OR p.incident_id = $incident)
          AND ($proposal IS NULL OR p.id = $proposal)
        ORDER BY p.id DESC
        """,
        {"status": status, "incident": incident, "proposal": proposal},
    )
    ids = [row["id"] for row in rows]
    done = _by_proposal(reader, "enforcement", ids)
    said = _by_proposal(reader, "decision", ids)
    steps = _steps(reader, [e["id"] for rows_ in done.values() for e in rows_])
    replayed = forecasts.kept(reader, ids)
    found = []
    for row in rows:
        row["replayed"] = replayed.get(row["id"])
        for name in ("target", "forecast"):
            row[name] = json.loads(row[name])
        made = [_enforcement_json(e, steps) for e in done.get(row["id"], [])]
        last = made[-1] if made else None
        row["state"] = last["state"] if last else None
        row["ends_at"] = last["ends_at"] if last else None
        row["error"] = last["error"] if last else None
        row["enforcements"] = made
        row["decisions"] = [_plain(d) for d in said.get(row["id"], [])]
        found.append(_plain(row))
    return found


def proposal_json(reader: Reader, proposal: int) -> dict[str, Any] | None:
    """Return one proposal as ``as_json`` does, or None when there is no such one."""
    found = as_json(reader, proposal=proposal)
    return found[0] if found else None


def pending(reader: Reader, proposal: int) -> bool:
    """Return whether an answer is still being carried out: more states are to come."""
    return bool(
        reader.value(
            """
            SELECT EXISTS (SELECT 1 FROM decision WHERE proposal_id = $id AND NOT carried_out)
                OR EXISTS (SELECT 1 FROM enforcement WHERE proposal_id = $id
                           AND state IN ('asked', 'applied', 'reverting'))
            """,
            {"id": proposal},
        )
    )


def _by_proposal(reader: Reader, table: str, ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in reader.rows(
        f"SELECT * FROM {table} WHERE list_contains($ids, proposal_id) ORDER BY id", {"ids": ids}
    ):
        found.setdefault(row["proposal_id"], []).append(row)
    return found


def _steps(reader: Reader, ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in reader.rows(
        "SELECT * FROM enforcement_step WHERE list_contains($ids, enforcement_id) "
        "ORDER BY enforcement_id, step_at, rowid",
        {"ids": ids},
    ):
        step = {"at": row["step_at"], "state": row["state"], "detail": row["detail"]}
        found.setdefault(row["enforcement_id"], []).append(_plain(step))
    return found


def _enforcement_json(
    row: dict[str, Any], steps: dict[int, list[dict[str, Any]]]
) -> dict[str, Any]:
    keep = (
        "id", "responder", "state", "asked_at", "applied_at", "verified_at", "reverted_at",
        "ends_at", "error", "attempts", "checked_at",
    )  # fmt: skip
    found = _plain({name: row[name] for name in keep})
    found["proof"] = json.loads(row["proof"]) if row["proof"] else None
    found["watch"] = json.loads(row["watch"]) if row["watch"] else None
    found["steps"] = steps.get(row["id"], [])
    return found


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() + "Z" if isinstance(value, datetime) else value
        for name, value in row.items()
    }
