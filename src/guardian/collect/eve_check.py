"""Look at one doubtful EVE line closely: mend it, or say why it cannot be stored.

The fast path (``eve``) sends here what is not plainly right: a line that is not JSON,
a time or an address in an unusual form, a number out of range, very deep nesting, an
event type or a time that occurs twice. What comes back is the line in the usual form,
or a reason.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from guardian.intel import addresses

FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(2100, 1, 1, tzinfo=UTC)
"""Times outside are no event times: a clock never set, or an attack on our arithmetic."""

MAX_DEPTH = 64
"""Suricata's deepest event (statistics) nests far less."""

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"\s*(Z|[+-]\d\d(?::?\d\d)?)?"
)
_PORT_KEYS = ("src_port", "dest_port")
_ADDRESS_KEYS = ("src_ip", "dest_ip")
_ONCE = ("event_type", "timestamp")
_COUNTERS = ("bytes_toserver", "bytes_toclient", "pkts_toserver", "pkts_toclient")
_BIGGEST = 2**63 - 1


class _RefusedError(ValueError):
    """The line cannot be stored; the text says why."""


def check(line: bytes) -> bytes | str:
    """Return the line in the form that the fast path stores, or the reason against it."""
    try:
        event = _decode(line)
        _check_event(event)
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
    except _RefusedError as refused:
        return str(refused)
    except UnicodeError:
        return "not UTF-8"
    except RecursionError:
        return "nested too deeply"


def _decode(line: bytes) -> dict[str, Any]:
    if not line.strip():
        raise _RefusedError("empty line")
    text = line.decode("utf-8-sig")
    if _depth(text) > MAX_DEPTH:
        raise _RefusedError("nested too deeply")
    try:
        event = json.loads(text, object_pairs_hook=_first, parse_constant=_no_constant)
    except _RefusedError:
        raise
    except ValueError as error:  # also an integer of more than 4300 digits
        reason = "not JSON" if isinstance(error, json.JSONDecodeError) else "number out of range"
        raise _RefusedError(reason) from error
    if not isinstance(event, dict):
        raise _RefusedError("not a JSON object")
    return event


def _depth(text: str) -> int:
    """Return how deep brackets nest, those in strings counted too unless they close there."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return 0
    deepest = depth = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[{\]}]', text):
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object in which the first of equal keys counts, as it does on the fast path.

    To find every key that occurs twice would cost an eighth of the decoding and more
    (docs/sources.md); an event with two types or two times is no event.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and key in _ONCE:
            raise _RefusedError("a key occurs twice")
        found.setdefault(key, value)
    return found


def _no_constant(_name: str) -> None:
    raise _RefusedError("number out of range")


def _check_event(event: dict[str, Any]) -> None:
    kind = event.get("event_type")
    if not isinstance(kind, str) or not kind or len(kind) > 64:
        raise _RefusedError("no event type")
    event["timestamp"] = _time(event.get("timestamp"))
    for key in _ADDRESS_KEYS:
        if event.get(key) is not None:
            event[key] = _address(event[key], key)
    for key in _PORT_KEYS:
        _check_number(event, key, 65535)
    _check_number(event, "flow_id", _BIGGEST)
    _check_floats(event)
    flow = event.get("flow")
    if isinstance(flow, dict):
        _check_flow(flow)
    elif kind == "flow":
        raise _RefusedError("a flow event without a flow")
    elif kind in ("dns", "tls", "http", "quic", "fileinfo", "alert", "anomaly", "dhcp") and (
        not isinstance(event.get(kind), dict)
    ):
        raise _RefusedError(f"no {kind} in the event")


def _check_flow(flow: dict[str, Any]) -> None:
    for key in _COUNTERS:
        _check_number(flow, key, _BIGGEST)
    for key in ("start", "end"):
        if flow.get(key) is not None:
            flow[key] = _time(flow[key])
    for key in _ADDRESS_KEYS:
        if flow.get(key) is not None:
            flow[key] = _address(flow[key], key)


def _check_floats(value: Any) -> None:
    """Refuse numbers that no field can hold, wherever they stand."""
    if isinstance(value, dict):
        for inner in value.values():
            _check_floats(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_floats(inner)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise _RefusedError("number out of range")


def _check_number(place: dict[str, Any], key: str, highest: int) -> None:
    value = place.get(key)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
        raise _RefusedError("number out of range")


def _address(value: Any, key: str) -> str:
    normal = addresses.normalise(value) if isinstance(value, str) else None
    if normal is None:
        raise _RefusedError(f"{key} is no address")
    return normal


def _time(value: Any) -> str:
    """Return a time in EVE's usual form, in UTC."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _RefusedError("no time that can be read")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction = int((match[7] or "0").ljust(6, "0")[:6])
    zone = UTC
    if match[8] not in (None, "Z"):
        digits = match[8].replace(":", "").ljust(5, "0")
        away = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
        if away >= timedelta(hours=24):
            raise _RefusedError("no time that can be read")
        zone = timezone(-away if digits[0] == "-" else away)
    try:
        moment = datetime(year, month, day, hour, minute, second, fraction, zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _RefusedError("no time that can be read") from error
    if not FIRST_TIME <= moment < LAST_TIME:
        raise _RefusedError("time out of range")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f+0000")
