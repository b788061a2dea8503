"""Hide passwords in what was read from the wire: that one crossed it is a finding, not the word.

What is typed has no column for them; what is kept whole (raw events, samples of refused
input, payloads) and the addresses of web requests go through here first. Names of fields are
those of Suricata, Zeek, web forms and the pages of cameras, routers and storage boxes.
"""

from __future__ import annotations

import re

HIDDEN = "(hidden)"

_KEYS = "password|passwd|passwort|passphrase|passcode|pwd|secret|token|api_key|apikey|secret_key"
_STRING = r'"(?:\\.|[^"\\])*(?:"|$)'
_VALUE = rf'(?:{_STRING}|(?!true|false|null)[^\s",}}\]\[{{]+|\[[^\]]*(?:\]|$))'
_HEADERS = r"(?:proxy-)?authorization|(?:set-)?cookie|x-(?:api-key|auth-token)"

_FIELDS: tuple[tuple[str, str], ...] = (
    # a JSON field, also within others: "http.password":"x"
    (rf'(?i)("(?:[^"\\]*[._-])?(?:{_KEYS}|community)"\s*:\s*){_VALUE}', rf'\1"{HIDDEN}"'),
    # Suricata's FTP: "command":"PASS","command_data":"x"
    (rf'("command"\s*:\s*"PASS"\s*,\s*"command_data"\s*:\s*){_STRING}', rf'\1"{HIDDEN}"'),
    # and POP3: "command":"PASS","args":["x"]
    (
        r'("command"\s*:\s*"(?:PASS|APOP|AUTH)"\s*,\s*"args"\s*:\s*)\[[^\]]*(?:\]|$)',
        rf'\1["{HIDDEN}"]',
    ),
    # and LDAP
    (rf'("(?:credentials|server_sasl_creds)"\s*:\s*){_STRING}', rf'\1"{HIDDEN}"'),
    # a header that was logged by name and value
    (rf'(?i)("name"\s*:\s*"(?:{_HEADERS})"\s*,\s*"value"\s*:\s*){_STRING}', rf'\1"{HIDDEN}"'),
    # an address with a login: ftp://anna:x@nas
    (r'(://[^/\s:@"]{1,100}:)[^@/\s"]+@', rf"\1{HIDDEN}@"),
)
# A header, or the command of an old protocol at the beginning of a line. Within JSON a line's
# end is written \r\n, and a bare quote is the end of the text.
_PLAIN = (
    (r"(?i)(authorization:\s*(?:basic |bearer |digest )?)[^\r\n]+", rf"\1{HIDDEN}"),
    (r"((?:^|[\r\n])(?:PASS|pass) )\S+", rf"\1{HIDDEN}"),
)
_QUOTED = (
    (
        r'(?i)(authorization:\s*(?:basic |bearer |digest )?)(?:\\[^rn]|[^"\\])+',
        rf"\1{HIDDEN}",
    ),
    (r'((?:"|\\[rn])(?:PASS|pass) )(?:\\[^rn]|[^\s"\\])+', rf"\1{HIDDEN}"),
)
_PARAMETERS = (
    # a form or the query of an address: ?user=a&password=x
    r"""((?:^|[?&;#\s"']|\\u0026)([\w.\-\[\]%]{1,64})=)((?:\\(?!u0026).|[^&;#\s"\\])+)""",
    # the same in an address that is itself a parameter: next=%2Fx%3Fpassword%3Dy
    r"""((?:%3[fF]|%26|%23)([\w.\-\[\]]{1,64})%3[dD])((?:(?!%26)[^&;\s"\\])+)""",
)
_SHORT_NAMES = "auth|otp|pin|psk|psw|pw|sid|sig"
_NAME = re.compile(
    rf"(?i){_KEYS}|community$|kennwort|credential|jwt|api-key|sess(?:ion)?_?id|signature"
    r"|(?:auth|access|private|session|shared|wpa)[_-]?key|authorization|loginpas"
    rf"|(?<!by)(?<!com)pass$|psk$|(?:^|[._-])(?:{_SHORT_NAMES})$"
)
_ATTACK = re.compile(
    r"(?i)(?:\$|%24)(?:\{|%7b)(?:jndi|lower|upper|env|::-)"
    r"|(?:[|`(]|%7c|%60|%3b|%28)(?:[\s+]|%20)*(?:/bin/|wget|curl|busybox|tftp|chmod|telnetd|ping)"
    r"|(?:(?:\.\.|%2e%2e)(?:/|%2f|%5c)){2}|/etc/passwd|(?:<|%3c)(?:script|\?|%3f)"
    r"|(?:'|%27)(?:[\s+]|%20|/\*)*(?:or|and|union)(?:[\s+'(]|%2|/\*)"
    r"|union(?:[\s+]|%20|/\*)+(?:all|select)|sleep\([0-9]|benchmark\([0-9]|waitfor(?:[\s+]|%20)"
)
"""A value with one of these is no password but an attempt to break in, which detectors read."""

SIGNS = (
    rf"(?i){_KEYS}|community[=\"]|pass[\s=\"\\]|kennwort|credential|_creds|jwt|api-key|sess(?:ion)?_?id=|signature"
    r"|(?:auth|access|private|session|shared|wpa)[_-]?key|authorization|cookie\"|loginpas|%3d|psk="
    rf'|\b_?(?:{_SHORT_NAMES})=|[._-](?:{_SHORT_NAMES})=|"(?:APOP|AUTH)"'
    r"|://[^/\s:@]+:[^@/\s]+@"
)
"""A text without any of these has nothing to hide: the quick look, for whole columns.

In the form that RE2 and Rust's regex crate take too.
"""


def _compiled(rules: tuple[tuple[str, str], ...]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), instead) for pattern, instead in rules)


_SIGNS = re.compile(SIGNS)
_IN_TEXT = _compiled(_FIELDS + _PLAIN)
_IN_JSON = _compiled(_FIELDS + _QUOTED)
_COMPILED_PARAMETERS = tuple(re.compile(pattern) for pattern in _PARAMETERS)


def hide(text: str) -> str:
    """Return a text (an address, a payload, a line of JSON) without the passwords in it."""
    if _SIGNS.search(text) is None:
        return text
    for pattern, instead in _IN_JSON if text.lstrip()[:1] == "{" else _IN_TEXT:
        text = pattern.sub(instead, text)
    for parameter in _COMPILED_PARAMETERS:
        text = parameter.sub(_parameter, text)
    return text


def hide_bytes(sample: bytes) -> bytes:
    """Return a piece of input without the passwords in it; bytes that are no text stay."""
    return hide(sample.decode("latin-1")).encode("latin-1")


def _parameter(found: re.Match[str]) -> str:
    before, name, value = found.groups()
    if _NAME.search(name) is None or _ATTACK.search(value):
        return found[0]
    return f"{before}{HIDDEN}"
