"""What the command line asks for, by name, wherever the store is open.

One process owns the store. When the daemon runs, the command line sends a call
over the daemon's socket; when none runs, it opens the store itself. Both end in
the same functions here, which return JSON values.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from guardian import respond, triage
from guardian.app import (
    calls_backup,
    calls_detect,
    calls_devices,
    calls_lists,
    calls_packets,
    calls_privacy,
    calls_quality,
    calls_triage,
)
from guardian.errors import InputError, UsageError
from guardian.model.response import Verb
from guardian.notify import digest as digests
from guardian.notify.send import send
from guardian.ops.status import status
from guardian.store import (
    devices,
    findings,
    incidents,
    responses,
    suppressions,
)
from guardian.store.ingest import utc_now
from guardian.triage import export, feedback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from guardian.config import Config
    from guardian.store import Store

ANSWER_TIMEOUT_S = 45.0
"""How long ``guardian approve`` waits for the proof before it says what is known so far."""
ANSWER_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The calls, over one open store.

    ``wake`` tells the daemon that a person answered; without a daemon (``running``
    false) the answer is carried out before the call returns.
    """

    store: Store
    config: Config
    running: bool = False
    wake: Callable[[], None] = field(default=lambda: None)
    reload_rules: Callable[[], None] = field(default=lambda: None)

    def call(self, name: str, parameters: Mapping[str, Any]) -> Any:
        """Run the call of that name.

        Raises:
            UsageError: there is no such call, or not with these parameters.
        """
        function = _CALLS.get(name)
        if function is None:
            msg = f"no such call: {name}"
            raise UsageError(msg)
        try:
            return function(self, **parameters)
        except TypeError as error:
            if "argument" not in str(error):
                raise
            msg = f"{name}: {error}"
            raise UsageError(msg) from error


def _findings(
    service: Service,
    *,
    finding_class: str | None = None,
    level: str | None = None,
    device: str | None = None,
    limit: int = 1000,
) -> Any:
    with service.store.read() as reader:
        return findings.as_json(
            reader, finding_class=finding_class, level=level, device=device, limit=limit
        )


def _incidents(service: Service, *, status: str | None = None, limit: int = 200) -> Any:
    with service.store.read() as reader:
        return incidents.as_json(reader, status=status, limit=limit)


def _proposals(service: Service, *, status: str | None = None) -> Any:
    with service.store.read() as reader:
        return responses.as_json(reader, status=status)


def _explain(service: Service, *, incident: int) -> Any:
    with service.store.read() as reader:
        found = calls_triage.explained(reader, incident)
    if found is None:
        msg = f"there is no incident {incident}; see: guardian incidents"
        raise InputError(msg)
    return found


def _answer(service: Service, *, proposal: int, verb: str) -> Any:
    respond.answer(service.store, proposal, Verb(verb), actor="keeper", channel="cli")
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    if not service.running:
        asyncio.run(respond.step(service.store, service.config.respond))
    service.wake()
    while True:
        with service.store.read() as reader:
            shown = responses.proposal_json(reader, proposal)
            pending = responses.pending(reader, proposal)
        if not service.running or not pending or time.monotonic() > deadline:
            return shown
        time.sleep(ANSWER_POLL_S)


def _digest(service: Service, *, since_s: float, deliver: bool = False) -> Any:
    now = utc_now()
    letter = digests.build(
        service.store,
        since=now - timedelta(seconds=since_s),
        until=now,
        now=now,
        settings=service.config.notify,
    )
    sent = send(letter, service.config.notify) if deliver else None
    return {"title": letter.title, "text": letter.text, "html": letter.html, "sent": sent}


def _status(service: Service) -> Any:
    return status(service.store, running=service.running)


def _rename(service: Service, *, device: str, new_name: str) -> Any:
    return devices.rename(service.store, device, new_name)


def _feedback(service: Service, *, incident: int, answer: str, reason: str = "") -> Any:
    number = feedback.give(service.store, incident, answer, actor="keeper", reason=reason)
    triage.run(service.store, service.config.triage)
    with service.store.read() as reader:
        offers = [offer for offer in feedback.offers(reader) if offer.device_id]
    return {"id": number, "offers": [msgspec.to_builtins(offer) for offer in offers]}


def _export_training(service: Service) -> Any:
    with service.store.read() as reader:
        return list(export.training(reader))


def _suppress(
    service: Service,
    *,
    reason: str,
    device: str | None = None,
    days: int | None = None,
    dry_run: bool = False,
    **what: Any,
) -> Any:
    if device is not None:
        with service.store.read() as reader:
            what["device_id"] = devices.find(reader, device)
    return suppressions.add(
        service.store,
        suppressions.Filter(**what),
        author="keeper",
        reason=reason,
        days=days,
        dry_run=dry_run,
    )


def _suppressions(service: Service) -> Any:
    with service.store.read() as reader:
        return suppressions.listing(reader)


def _unsuppress(service: Service, *, number: int) -> Any:
    suppressions.lift(service.store, number)
    return {"id": number}


def _reload_rules(service: Service) -> Any:
    service.reload_rules()
    return {}


_CALLS: dict[str, Callable[..., Any]] = {
    "findings": _findings,
    "incidents": _incidents,
    **calls_devices.CALLS,
    "proposals": _proposals,
    "privacy": calls_privacy.privacy_ledger,
    "privacy_incomplete": calls_privacy.privacy_incomplete,
    "models": calls_privacy.models,
    "habits": calls_privacy.habits,
    "away": calls_privacy.away,
    "explain": _explain,
    "answer": _answer,
    "digest": _digest,
    "status": _status,
    "lists_explain": calls_lists.lists_explain,
    "lists_house": calls_lists.lists_house,
    "rename": _rename,
    "load_indicators": calls_detect.load_indicators,
    "indicator_lists": calls_detect.indicator_lists,
    "ask": calls_triage.answer,
    "overflow_list": calls_triage.overflow_list,
    "overflow_show": calls_triage.overflow_show,
    "opt_out": calls_privacy.opt_out,
    "feedback": _feedback,
    "export_training": _export_training,
    "suppress": _suppress,
    "suppressions": _suppressions,
    "unsuppress": _unsuppress,
    "reload_rules": _reload_rules,
    "backup": calls_backup.begin,
    "backup_state": calls_backup.state,
    "evidence": calls_packets.evidence,
    "quality": calls_quality.report,
    "quality_save": calls_quality.save,
    "house_gold": calls_quality.house_gold,
}
