"""Hide passwords in what was read from the wire: that one crossed it is a finding, not the word.

What is typed has no column for them; what is kept whole (raw events, samples of refused
input, addresses with a query) goes through here first. Names of fields are those of
Suricata, Zeek and web forms.
"""

from __future__ import annotations

import re

HIDDEN = "(hidden)"

_KEYS = "password|passwd|passphrase|pwd|secret|community|auth_token|access_token|api_key|apikey"
_VALUE = r'(?:"(?:\\.|[^"\\])*(?:"|$)|[^\s",}\]]+)'

PATTERNS: tuple[tuple[str, str], ...] = (
    # a JSON field, also within others: "http.password":"x"
    (rf'(?i)("(?:[^"\\]*[._-])?(?:{_KEYS})"\s*:\s*){_VALUE}', rf'${{1}}"{HIDDEN}"'),
    # Suricata's FTP and the like: "command":"PASS","command_data":"x"
    (
        r'("command"\s*:\s*"PASS"\s*,\s*"command_data"\s*:\s*)' + _VALUE,
        rf'${{1}}"{HIDDEN}"',
    ),
    # a form or the query of an address: ?user=a&password=x
    (rf'(?i)((?:^|[?&;\s"])(?:{_KEYS}|pass)=)[^&;\s"]+', rf"${{1}}{HIDDEN}"),
    # an address with a login: ftp://anna:x@nas
    (r'(://[^/\s:@"]{1,100}:)[^@/\s"]+@', rf"${{1}}{HIDDEN}@"),
    # a header, or the command of an old protocol at the beginning of a line
    (r"(?i)(authorization:\s*(?:basic |bearer |digest )?)[^\r\n]+", rf"${{1}}{HIDDEN}"),
    (r"((?:^|[\r\n]|\\r\\n)(?:PASS|pass) )\S+", rf"${{1}}{HIDDEN}"),
)
"""Expressions and what takes their place, in the form that Rust's regex crate (polars) takes."""

SIGNS = rf"(?i){_KEYS}|pass|authorization|://[^/\s:@]+:[^@/\s]+@"
"""A text without any of these has nothing to hide: the quick look, for whole columns."""

_SIGNS = re.compile(SIGNS)

_COMPILED = tuple(
    (re.compile(pattern), instead.replace("${1}", r"\g<1>")) for pattern, instead in PATTERNS
)


def hide(text: str) -> str:
    """Return a text without the passwords in it."""
    if _SIGNS.search(text) is None:
        return text
    for pattern, instead in _COMPILED:
        text = pattern.sub(instead, text)
    return text


def hide_bytes(sample: bytes) -> bytes:
    """Return a piece of input without the passwords in it; bytes that are no text stay."""
    return hide(sample.decode("latin-1")).encode("latin-1")
