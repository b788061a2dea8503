"""What a keeper can set about the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The page's settings; every default is safe on a home network.

    ``hosts`` are further names under which browsers may ask for the page. Addresses,
    ``localhost`` and this machine's own name always may; any other name is refused, so
    that a page elsewhere cannot reach Guardian through a DNS name of its own.
    ``login`` is ``auto`` (asked for unless only this machine can reach the page) or
    ``always``. ``session_hours`` is how long one login lasts. ``timezone`` is an IANA
    name such as ``Europe/Berlin``; empty means this machine's.
    ``login_tries`` wrong passwords from one address within ``login_window_s`` seconds
    are answered; further ones are refused until the window has passed.
    ``rows_per_page`` bounds every list; ``poll_s`` is how often an open page asks for news.
    """

    hosts: tuple[str, ...] = ()
    login: str = "auto"
    session_hours: int = 720
    timezone: str = ""
    login_tries: int = 5
    login_window_s: int = 900
    rows_per_page: int = 50
    poll_s: int = 5
