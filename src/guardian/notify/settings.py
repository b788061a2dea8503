"""What a keeper can set about messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One way to reach a person.

    ``url`` is an Apprise address (https://github.com/caronc/apprise/wiki), such as
    ``gotify://server/token`` or ``mailtos://user:password@server?to=anna@home``; it
    holds secrets and is never logged. ``format`` is ``html``, ``markdown`` or ``text``;
    empty picks what the service shows best. ``tags`` choose what it is sent: ``digest``
    (the nightly letter); nothing is sent for ``urgent`` and ``health`` yet.
    """

    name: str
    url: str
    format: str = ""
    tags: tuple[str, ...] = ("digest", "urgent", "health")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """When and where messages go.

    ``base_url`` is how a phone in the house reaches the page, for links. ``digest_at`` is
    the local time of the nightly digest, empty for none. ``timezone`` is an IANA name;
    empty means this machine's. ``timeout_s`` bounds one channel's delivery.
    ``lines`` bounds each list of a digest, to keep it within two phone screens.
    """

    channels: tuple[Channel, ...] = ()
    base_url: str = "http://127.0.0.1:8480"
    digest_at: str = "21:30"
    timezone: str = ""
    timeout_s: float = 30.0
    lines: int = 5
