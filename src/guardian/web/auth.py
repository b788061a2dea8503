"""Who may see the page: one password for the house, kept as a scrypt hash.

A login is asked for as soon as another machine can reach the page. The session is a
signed cookie: it names when it ends and which password it was made with, so that a new
password ends every session. Nothing about a session is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from typing import TYPE_CHECKING

from guardian.errors import UsageError
from guardian.store import settings as kept

if TYPE_CHECKING:
    from guardian.store import Reader, Store

COOKIE = "guardian_session"
PASSWORD_KEY = "web.password"  # noqa: S105 - the name of a setting
SECRET_KEY = "web.secret"  # noqa: S105 - the name of a setting

MIN_LENGTH = 8
"""Characters of a password; NIST SP 800-63B's least."""
MAX_LENGTH = 1024
"""Characters; a longer text is refused before it costs anything."""

# RFC 7914 parameters: 32 MiB and about 0.1 s a try on a small machine.
_N, _R, _P = 1 << 15, 8, 1
_MEMORY = 64 << 20
_hashing = threading.Semaphore(2)


def required(listen: str) -> bool:
    """Whether an address to listen on (``127.0.0.1:8480``) can be reached by others."""
    host = listen.rpartition(":")[0].strip("[]") or listen
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def set_password(store: Store, text: str) -> None:
    """Set the house's password; every session made with the old one ends.

    Raises:
        UsageError: it is too short or far too long.
    """
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
        msg = f"the password must have {MIN_LENGTH} to {MAX_LENGTH} characters"
        raise UsageError(msg)
    salt = secrets.token_bytes(16)
    digest = _scrypt(text, salt)
    value = {"salt": salt.hex(), "scrypt": digest.hex(), "n": _N, "r": _R, "p": _P}
    kept.put(store, PASSWORD_KEY, value)


def has_password(reader: Reader) -> bool:
    """Whether a password was ever set."""
    return kept.get(reader, PASSWORD_KEY) is not None


def check_password(reader: Reader, text: str) -> bool:
    """Whether this is the house's password."""
    value = kept.get(reader, PASSWORD_KEY)
    if value is None or len(text) > MAX_LENGTH:
        return False
    digest = _scrypt(text, bytes.fromhex(value["salt"]))
    return hmac.compare_digest(digest, bytes.fromhex(value["scrypt"]))


def secret(store: Store) -> bytes:
    """Return the key that signs sessions, making it once."""
    return bytes.fromhex(kept.put_once(store, SECRET_KEY, secrets.token_hex(32)))


def make_session(key: bytes, generation: str, *, hours: int, now_s: float | None = None) -> str:
    """Return a cookie's value that is good for ``hours``."""
    ends = int((time.time() if now_s is None else now_s) + hours * 3600)
    body = f"{ends}.{secrets.token_urlsafe(12)}"
    return f"{body}.{_signature(key, body, generation)}"


def session_holds(key: bytes, generation: str, value: str, *, now_s: float | None = None) -> bool:
    """Whether a cookie's value was signed by us, has not ended, and fits the password."""
    body, _, signature = value[:200].rpartition(".")
    if not hmac.compare_digest(
        _signature(key, body, generation).encode(), signature.encode(errors="replace")
    ):
        return False
    ends = body.partition(".")[0]
    return ends.isdecimal() and int(ends) > (time.time() if now_s is None else now_s)


def generation(reader: Reader) -> str:
    """Return a text that changes with the password."""
    value = kept.get(reader, PASSWORD_KEY)
    return "" if value is None else str(value["salt"])


def _signature(key: bytes, body: str, generation_: str) -> str:
    mac = hmac.new(key, f"session|{generation_}|{body}".encode(errors="replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(mac.digest()).decode().rstrip("=")


def _scrypt(text: str, salt: bytes) -> bytes:
    with _hashing:
        return hashlib.scrypt(
            text.encode(errors="surrogatepass"), salt=salt, n=_N, r=_R, p=_P, maxmem=_MEMORY
        )


class Throttle:
    """Refuse an address after too many wrong passwords; holds a bounded number of them."""

    MAX_ADDRESSES = 1024
    """Beyond this many, the address that failed longest ago is forgotten."""

    def __init__(self, tries: int, window_s: float) -> None:
        """Allow ``tries`` failures within ``window_s`` seconds."""
        self._tries = tries
        self._window_s = window_s
        self._failed: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def wait_s(self, address: str, now_s: float | None = None) -> float:
        """Return for how many seconds this address must wait; 0 when it may try."""
        now = time.monotonic() if now_s is None else now_s
        with self._lock:
            recent = self._recent(address, now)
            return 0.0 if len(recent) < self._tries else recent[0] + self._window_s - now

    def failed(self, address: str, now_s: float | None = None) -> None:
        """Note a wrong password."""
        now = time.monotonic() if now_s is None else now_s
        with self._lock:
            recent = [*self._recent(address, now), now][-self._tries :]
            self._failed.pop(address, None)
            if len(self._failed) >= self.MAX_ADDRESSES:
                del self._failed[next(iter(self._failed))]
            self._failed[address] = recent

    def forgive(self, address: str) -> None:
        """Forget an address's failures: it knew the password."""
        with self._lock:
            self._failed.pop(address, None)

    def _recent(self, address: str, now: float) -> list[float]:
        return [each for each in self._failed.get(address, []) if each > now - self._window_s]
