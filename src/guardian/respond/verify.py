"""Ask a resolver itself what it answers: the proof that a block holds, or is gone.

A configuration that was accepted is not yet in force, so every proof is an
answer of the resolver that the home uses, for A, AAAA and HTTPS records, asked
again until it is what is wanted or time is up.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from guardian.errors import ConfigError, ResponderError
from guardian.respond.base import Proof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from guardian.respond.settings import Settings

KINDS = ("A", "AAAA", "HTTPS")
"""HTTPS records carry address hints, so a block without them leaks."""

MAX_PROBED = 12
"""Names asked per proof: all of a usual order, and a resolver's rate limit is far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Where a resolver listens."""

    address: str
    port: int = 53

    @classmethod
    def parse(cls, text: str) -> Resolver:
        """Read ``address`` or ``address#port``.

        Raises:
            ConfigError: it is neither.
        """
        address, _, port = text.partition("#")
        try:
            return cls(address=str(ipaddress.ip_address(address)), port=int(port or 53))
        except ValueError as error:
            msg = f"respond.resolvers: {text!r} is not an address or address#port"
            raise ConfigError(msg) from error

    def __str__(self) -> str:
        return self.address if self.port == 53 else f"{self.address}#{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer. ``values`` are the addresses or HTTPS records, not the CNAMEs between."""

    resolver: str
    name: str
    kind: str
    rcode: str
    values: tuple[str, ...]

    def blocked(self, block_answers: frozenset[str]) -> bool | None:
        """Return whether it leads nowhere; None when it says nothing (SERVFAIL, REFUSED)."""
        if self.rcode == "NXDOMAIN":
            return True
        if self.rcode != "NOERROR":
            # A failed HTTPS question gives no hints away; one for an address may succeed later.
            return True if self.kind == "HTTPS" else None
        return all(value in block_answers for value in self.values)

    def as_json(self) -> dict[str, Any]:
        """Return it as the journal keeps it."""
        return {
            "resolver": self.resolver,
            "name": self.name,
            "kind": self.kind,
            "rcode": self.rcode,
            "values": list(self.values),
        }

    def words(self) -> str:
        """Return it in a few words, such as ``tracker.example A 0.0.0.0``."""
        said = ", ".join(self.values) or ("no record" if self.rcode == "NOERROR" else self.rcode)
        return f"{self.name} {self.kind} {said}"


async def ask(
    resolver: Resolver, name: str, kind: str, *, timeout_s: float, source: str | None = None
) -> Answer:
    """Ask one question.

    Raises:
        ResponderError: no answer came in time, or one that is no DNS message.
    """
    query = dns.message.make_query(name, kind, use_edns=True)
    try:
        response, _ = await dns.asyncquery.udp_with_fallback(
            query, resolver.address, timeout=timeout_s, port=resolver.port, source=source
        )
    except (dns.exception.DNSException, OSError, EOFError) as error:
        msg = f"the resolver {resolver} did not answer for {name}: {type(error).__name__}"
        raise ResponderError(msg) from error
    wanted = dns.rdatatype.from_text(kind)
    values = [
        rdata.to_text() for rrset in response.answer if rrset.rdtype == wanted for rdata in rrset
    ]
    return Answer(
        resolver=str(resolver),
        name=name,
        kind=kind,
        rcode=dns.rcode.to_text(response.rcode()),
        values=tuple(values[:20]),
    )


def beside(url: str) -> tuple[str, ...]:
    """Return the resolver at the same address as a server's URL, if that names one."""
    host = urlsplit(url).hostname or ""
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return ()


class Prober:
    """Asks the home's resolvers for the names of one order."""

    def __init__(
        self, resolvers: Sequence[Resolver], settings: Settings, *, source: str | None = None
    ) -> None:
        if not resolvers:
            msg = "no resolver to ask for the proof; set respond.resolvers"
            raise ConfigError(msg)
        self._resolvers = tuple(resolvers)
        self._settings = settings
        self._source = source
        self._block = frozenset({"0.0.0.0", "::", *settings.block_answers})  # noqa: S104 - answers

    async def answers(self, names: Iterable[str]) -> tuple[Answer, ...]:
        """Ask every resolver for every kind of every name.

        Raises:
            ResponderError: one of them does not answer.
        """
        asked = [
            ask(
                resolver,
                name,
                kind,
                timeout_s=self._settings.query_timeout_s,
                source=self._source,
            )
            for resolver in self._resolvers
            for name in list(names)[:MAX_PROBED]
            for kind in KINDS
        ]
        return tuple(await asyncio.gather(*asked))

    async def survey(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """Return what is answered now, for the receipt."""
        return [answer.as_json() for answer in await self.answers(names)]

    async def until_blocked(self, names: Sequence[str], before: Mapping[str, Any]) -> Proof:
        """Ask until every answer leads nowhere, or time is up."""

        def wrong(answer: Answer) -> bool:
            return answer.blocked(self._block) is not True

        answers, left = await self._until(names, wrong)
        details = {"answers": [answer.as_json() for answer in answers]}
        if left:
            summary = f"the resolver {left[0].resolver} still answers {left[0].words()}"
            return Proof(holds=False, summary=summary, details=details)
        summary = f"the resolver {answers[0].resolver} answers {answers[0].words()}"
        if not self._resolved(before):
            summary += "; it gave no address for it before either"
        return Proof(holds=True, summary=summary, details=details)

    async def until_free(self, names: Sequence[str], before: Mapping[str, Any]) -> Proof:
        """Ask until every name that had an address before has one again, or time is up."""
        had = {(a["resolver"], a["name"], a["kind"]) for a in self._resolved(before)}
        names = [name for name in names if any(name == key[1] for key in had)]
        if not names:
            return Proof(holds=True, summary="it was not answered before either")

        def wrong(answer: Answer) -> bool:
            key = (answer.resolver, answer.name, answer.kind)
            return key in had and answer.blocked(self._block) is not False

        answers, left = await self._until(names, wrong)
        details = {"answers": [answer.as_json() for answer in answers]}
        if left:
            summary = f"the resolver {left[0].resolver} still answers {left[0].words()}"
            return Proof(holds=False, summary=summary, details=details)
        shown = next(a for a in answers if (a.resolver, a.name, a.kind) in had)
        summary = f"the resolver {shown.resolver} answers {shown.words()} again"
        return Proof(holds=True, summary=summary, details=details)

    async def _until(
        self, names: Sequence[str], wrong: Callable[[Answer], bool]
    ) -> tuple[tuple[Answer, ...], list[Answer]]:
        deadline = time.monotonic() + self._settings.verify_timeout_s
        failure: ResponderError | None = None
        answers: tuple[Answer, ...] = ()
        while True:
            try:
                answers, failure = await self.answers(names), None
            except ResponderError as error:
                failure = error
            else:
                left = [answer for answer in answers if wrong(answer)]
                if not left:
                    return answers, []
            if time.monotonic() >= deadline:
                if failure is not None:
                    raise failure
                return answers, left
            await asyncio.sleep(self._settings.verify_pause_s)

    def _resolved(self, before: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = []
        for entry in before.get("before", ()):
            answer = Answer(**{**entry, "values": tuple(entry["values"])})
            if answer.blocked(self._block) is False:
                found.append(entry)
        return found
