"""Carry out what people decided, prove it, end it on time, and keep it in force.

Every state is written when it is true, and before the next thing outside is
touched: what was found before a change is on record ahead of the change. A kill
at any moment therefore leaves a row from which the same work is done again, and
doing it again changes nothing, because each responder only adds what is missing
and only removes what carries the order's mark.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from guardian.errors import GuardianError, ProtectedTargetError
from guardian.model.response import EnforcementState, ProposalStatus, Verb
from guardian.respond import protect, registry, watch
from guardian.respond.base import Order
from guardian.store import responses
from guardian.store.ingest import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardian.respond.base import Responder
    from guardian.respond.settings import Settings
    from guardian.store import Store
    from guardian.store.responses import Enforcement

LOG = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 600.0
_IN_FORCE = (EnforcementState.ASKED, EnforcementState.APPLIED, EnforcementState.VERIFIED)


async def step(
    store: Store,
    settings: Settings,
    *,
    now: datetime | None = None,
    make: Callable[[str, Settings], Responder] = registry.make,
) -> bool:
    """Do what is due: new decisions, proofs, ends, and a look at what is in force.

    Returns whether anything changed. An enforcer that fails is tried again by a
    later call; it does not stop the others.
    """
    work = _Pass(store, settings, now, make)
    try:
        changed = work.take_decisions()
        changed |= work.expire()
        for enforcement in _read(store):
            changed |= await work.advance(enforcement)
    finally:
        await work.aclose()
    return changed


class _Pass:
    """One pass over the journal, with the responders it needed."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        now: datetime | None,
        make: Callable[[str, Settings], Responder],
    ) -> None:
        self._store = store
        self._settings = settings
        self._fixed_now = now
        self._make = make
        self._made: dict[str, Responder] = {}

    async def aclose(self) -> None:
        for responder in self._made.values():
            await responder.aclose()

    def take_decisions(self) -> bool:
        """Turn each new decision into a state of the journal."""
        with self._store.transaction() as tx:
            rows = tx.rows(
                "SELECT d.id AS decision, d.verb, d.decided_at, p.* "
                "FROM decision d JOIN proposal p ON p.id = d.proposal_id "
                "WHERE NOT d.carried_out ORDER BY d.id"
            )
            for row in rows:
                live = tx.one(
                    "SELECT id, state FROM enforcement "
                    "WHERE proposal_id = $id AND list_contains($live, state) ORDER BY id DESC",
                    {"id": row["id"], "live": [str(state) for state in responses.LIVE]},
                )
                ends_at = row["decided_at"] + timedelta(seconds=row["duration_s"])
                if row["verb"] == Verb.APPROVE and live is None:
                    if ends_at > self._now():
                        responses.open_enforcement(
                            tx, proposal=row, asked_at=row["decided_at"], ends_at=ends_at
                        )
                    else:  # nobody ran until it was over: asked again, not done late
                        tx.execute(
                            "UPDATE proposal SET status = ? WHERE id = ?",
                            [str(ProposalStatus.PROPOSED), row["id"]],
                        )
                elif row["verb"] == Verb.REVERT and live is not None:
                    responses.begin_revert(tx, live["id"], self._now(), "asked to undo it")
                tx.execute("UPDATE decision SET carried_out = true WHERE id = ?", [row["decision"]])
        return bool(rows)

    def expire(self) -> bool:
        """Begin to undo what has reached its end."""
        due = [e for e in _read(self._store, _IN_FORCE) if e.ends_at <= self._now()]
        for enforcement in due:
            if enforcement.state is EnforcementState.VERIFIED:
                self._look(enforcement)  # its last minutes too
            now = self._now()
            with self._store.transaction() as tx:
                tx.execute(
                    "INSERT INTO decision "
                    "(proposal_id, verb, actor, channel, decided_at, carried_out) "
                    "VALUES (?, 'revert', 'guardian', 'expiry', ?, true)",
                    [enforcement.proposal_id, now],
                )
                responses.begin_revert(tx, enforcement.id, now, "its time is up")
        return bool(due)

    async def advance(self, enforcement: Enforcement) -> bool:
        """Take one enforcement as far as it goes now."""
        if enforcement.next_try_at is not None and enforcement.next_try_at > self._now():
            return False
        act = {
            EnforcementState.ASKED: self._apply,
            EnforcementState.APPLIED: self._verify,
            EnforcementState.VERIFIED: self._check,
            EnforcementState.REVERTING: self._undo,
        }[enforcement.state]
        try:
            changed = await act(enforcement)
        except ProtectedTargetError as error:
            await self._fail(enforcement, str(error))
            return True
        except GuardianError as error:
            LOG.warning("enforcement %d: %s", enforcement.id, error)
            return await self._again(enforcement, str(error))
        again = self._reread(enforcement) if changed else None
        if again is not None and again.state is not enforcement.state:
            await self.advance(again)
        return changed

    async def _apply(self, enforcement: Enforcement) -> bool:
        protect.check(enforcement.target, protect.life_lines(self._settings))
        responder = self._responder(enforcement.responder)
        order = _order(enforcement)
        receipt = dict(enforcement.receipt)
        if not receipt:
            receipt = await responder.survey(order)
            responses.update(self._store, enforcement.id, receipt=receipt)
        receipt = await responder.apply(order, receipt)
        detail = f"written to {responder.title}"
        self._move(enforcement, EnforcementState.APPLIED, detail, receipt=receipt)
        return True

    async def _verify(self, enforcement: Enforcement) -> bool:
        responder = self._responder(enforcement.responder)
        proof = await responder.prove(
            _order(enforcement),
            enforcement.receipt,
            blocked=True,
            shared=self._shared(enforcement),
        )
        if not proof.holds:
            return await self._again(enforcement, proof.summary)
        self._move(
            enforcement,
            EnforcementState.VERIFIED,
            proof.summary,
            proof=proof.as_json(),
            error=None,
            checked_at=self._now(),
        )
        return True

    async def _check(self, enforcement: Enforcement) -> bool:
        """Look whether a verified enforcement still holds; bring it back if it does not."""
        due = timedelta(seconds=self._settings.check_interval_s)
        if enforcement.checked_at is not None and self._now() - enforcement.checked_at < due:
            return False
        responder = self._responder(enforcement.responder)
        order = _order(enforcement)
        lost = None
        if not await responder.present(order, enforcement.receipt):
            lost = f"was gone from {responder.title}"
        else:
            proof = await responder.prove(
                order, enforcement.receipt, blocked=True, shared=self._shared(enforcement)
            )
            if not proof.holds:
                lost = proof.summary
        if lost is None:
            return self._still(enforcement)
        receipt = await responder.apply(order, enforcement.receipt)
        detail = f"{lost}; written again"
        self._move(enforcement, EnforcementState.APPLIED, detail, receipt=receipt)
        return True

    def _still(self, enforcement: Enforcement) -> bool:
        """Note that it holds, and what the devices did since; return whether that is news."""
        news = self._look(enforcement)
        responses.update(
            self._store, enforcement.id, checked_at=self._now(), error=None, attempts=0
        )
        return news

    def _look(self, enforcement: Enforcement) -> bool:
        """Keep what the devices did since it is in force; return whether that is news."""
        now = self._now()
        with self._store.read() as reader:
            seen = watch.look(reader, enforcement, self._settings, now)
        news = watch.remarks(seen) != watch.remarks(enforcement.watch)
        with self._store.transaction() as tx:
            if news:
                detail = "; ".join(watch.remarks(seen)) or "its devices have calmed down"
                responses.note(tx, enforcement.id, enforcement.state, now, detail)
        responses.update(self._store, enforcement.id, watch=seen)
        return news

    async def _undo(self, enforcement: Enforcement) -> bool:
        responder = self._responder(enforcement.responder)
        order = _order(enforcement)
        await responder.revoke(order, enforcement.receipt)
        proof = await responder.prove(
            order, enforcement.receipt, blocked=False, shared=self._shared(enforcement)
        )
        if not proof.holds:
            # The name itself may be gone from the world by now: then our own marks decide.
            patient = enforcement.attempts + 1 < self._settings.apply_attempts
            if patient or await responder.present(order, enforcement.receipt):
                return await self._again(enforcement, proof.summary)
        self._move(enforcement, EnforcementState.REVERTED, f"taken back: {proof.summary}")
        return True

    async def _again(self, enforcement: Enforcement, error: str) -> bool:
        """Note a failed try; give up applying after some, never undoing or watching."""
        attempts = enforcement.attempts + 1
        tentative = enforcement.state in {EnforcementState.ASKED, EnforcementState.APPLIED}
        if tentative and attempts >= self._settings.apply_attempts:
            await self._fail(enforcement, error)
            return True
        pause = min(self._settings.retry_pause_s * 2 ** min(attempts - 1, 20), _LONGEST_PAUSE_S)
        responses.update(
            self._store,
            enforcement.id,
            attempts=attempts,
            error=error[:1000],
            next_try_at=self._now() + timedelta(seconds=pause),
        )
        return False

    async def _fail(self, enforcement: Enforcement, error: str) -> None:
        """Give up, and take back what may have been written."""
        again = enforcement.proposal_id
        try:
            if enforcement.receipt:
                responder = self._responder(enforcement.responder)
                await responder.revoke(_order(enforcement), enforcement.receipt)
        except GuardianError as second:
            detail = f"{error}; and taking it back failed: {second}"
            state = EnforcementState.REVERTING
        else:
            detail = f"{error}; nothing of it was left behind"
            state = EnforcementState.FAILED
        responses.move(
            self._store,
            enforcement.id,
            state,
            self._now(),
            detail=detail,
            offer_again=again,
            error=error[:1000],
        )

    def _move(
        self, enforcement: Enforcement, state: EnforcementState, detail: str, **columns: Any
    ) -> None:
        LOG.info("enforcement %d: %s: %s", enforcement.id, state, detail)
        responses.move(self._store, enforcement.id, state, self._now(), detail=detail, **columns)

    def _responder(self, name: str) -> Responder:
        if name not in self._made:
            self._made[name] = self._make(name, self._settings)
        return self._made[name]

    def _reread(self, enforcement: Enforcement) -> Enforcement | None:
        return next((e for e in _read(self._store) if e.id == enforcement.id), None)

    def _shared(self, enforcement: Enforcement) -> frozenset[str]:
        """Return what other enforcements hold too, on the same enforcer."""
        return frozenset(
            item
            for other in _read(self._store, _IN_FORCE)
            if other.id != enforcement.id and other.responder == enforcement.responder
            for item in (*other.target.names, *other.target.addresses)
        )

    def _now(self) -> datetime:
        return self._fixed_now or utc_now()


def _read(
    store: Store, states: tuple[EnforcementState, ...] = responses.LIVE
) -> tuple[Enforcement, ...]:
    with store.read() as reader:
        return responses.enforcements(reader, states)


def _order(enforcement: Enforcement) -> Order:
    return Order(id=enforcement.id, target=enforcement.target, ends_at=enforcement.ends_at)
