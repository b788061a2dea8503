"""Write down what a person said about a proposal. Nothing is done here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from guardian.errors import ComponentAbsentError, InputError, RefusedError, UsageError
from guardian.model.response import EnforcementState, ProposalStatus, Verb
from guardian.respond import protect
from guardian.respond.registry import NONE
from guardian.respond.settings import Settings
from guardian.store.ingest import utc_now
from guardian.store.responses import LIVE, target_from

if TYPE_CHECKING:
    from datetime import datetime

    from guardian.store import Store
    from guardian.store.connection import Transaction


def answer(
    store: Store,
    proposal_id: int,
    verb: str,
    *,
    actor: str,
    channel: str,
    settings: Settings | None = None,
    now: datetime | None = None,
) -> None:
    """Write a person's answer; the same answer again changes nothing.

    Raises:
        UsageError: there is no such verb.
        InputError: there is no such proposal, or nothing of it to take back.
        RefusedError: it is not on offer any more, or must be reverted first.
        ProtectedTargetError: its target is a life line.
        ComponentAbsentError: no enforcer is set up to carry it out.
    """
    try:
        said = Verb(verb)
    except ValueError as error:
        msg = f"no such answer: {verb!r} (approve, reject or revert)"
        raise UsageError(msg) from error
    lines = protect.life_lines(settings or Settings())
    with store.transaction() as tx:
        row = tx.one("SELECT * FROM proposal WHERE id = ?", [proposal_id])
        if row is None:
            msg = f"there is no proposal {proposal_id}"
            raise InputError(msg)
        if said is Verb.APPROVE:
            protect.check(target_from(row["target"]), lines)
        status = _DECIDE[said](tx, row)
        if status is None:
            return
        tx.execute("UPDATE proposal SET status = ? WHERE id = ?", [str(status), proposal_id])
        tx.execute(
            "INSERT INTO decision (proposal_id, verb, actor, channel, decided_at) "
            "VALUES (?, ?, ?, ?, ?)",
            [proposal_id, str(said), actor[:200], channel[:50], now or utc_now()],
        )
        waits = tx.value(
            "SELECT count(*) FROM proposal WHERE incident_id = ? AND status = 'proposed'",
            [row["incident_id"]],
        )
        if not waits:
            tx.execute(
                "UPDATE incident SET status = 'handled' WHERE id = ? AND status = 'open'",
                [row["incident_id"]],
            )


def _approve(tx: Transaction, row: dict[str, Any]) -> ProposalStatus | None:
    if row["status"] == ProposalStatus.WITHDRAWN:
        msg = f"proposal {row['id']} is not on offer any more: what it answered is over"
        raise RefusedError(msg)
    if row["responder"] == NONE:
        msg = (
            "no enforcer is set up, so nothing was done: name your resolver in the [respond] "
            "table of the configuration (pihole_url, or dnsmasq_hosts_file and resolvers)"
        )
        raise ComponentAbsentError(msg)
    if row["status"] == ProposalStatus.APPROVED and (_live(tx, row["id"]) or _waits(tx, row["id"])):
        return None
    return ProposalStatus.APPROVED


def _reject(tx: Transaction, row: dict[str, Any]) -> ProposalStatus | None:
    if row["status"] in {ProposalStatus.REJECTED, ProposalStatus.WITHDRAWN}:
        return None
    if _live(tx, row["id"]) or _waits(tx, row["id"]):
        msg = f"proposal {row['id']} is being carried out; revert it instead"
        raise RefusedError(msg)
    return ProposalStatus.REJECTED


def _revert(tx: Transaction, row: dict[str, Any]) -> ProposalStatus | None:
    state = _live(tx, row["id"])
    if state == EnforcementState.REVERTING:
        return None
    if state is None and not _waits(tx, row["id"]):
        last = tx.value(
            "SELECT state FROM enforcement WHERE proposal_id = ? ORDER BY id DESC LIMIT 1",
            [row["id"]],
        )
        if last == EnforcementState.REVERTED:
            return None
        msg = f"nothing of proposal {row['id']} is in force"
        raise InputError(msg)
    return ProposalStatus(row["status"])


_DECIDE = {Verb.APPROVE: _approve, Verb.REJECT: _reject, Verb.REVERT: _revert}


def _live(tx: Transaction, proposal: int) -> EnforcementState | None:
    state = tx.value(
        "SELECT state FROM enforcement WHERE proposal_id = $id AND list_contains($live, state) "
        "ORDER BY id DESC LIMIT 1",
        {"id": proposal, "live": [str(state) for state in LIVE]},
    )
    return None if state is None else EnforcementState(state)


def _waits(tx: Transaction, proposal: int) -> bool:
    """Return whether an approval waits to be carried out."""
    last = tx.value(
        "SELECT verb FROM decision WHERE proposal_id = ? AND NOT carried_out "
        "ORDER BY id DESC LIMIT 1",
        [proposal],
    )
    return bool(last == Verb.APPROVE)
