"""Fetch blocklists by URL: only what changed, never more than a limit, never half of one.

A list is asked for with the ETag and the date of the last copy, so that an unchanged
one costs a few hundred bytes. It is written beside the copy and takes its place in one
rename when it is whole. Whatever goes wrong, the last good copy stays: a house without
internet builds from what it has.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx
import msgspec

from guardian.errors import ClientConnectionError, ClientError, ClientResponseError
from guardian.model.download import Download

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GZIP = b"\x1f\x8b"
_STEP = 1 << 20
"""Bytes that unpacking gives at a time, so that a bomb is met before it fills the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How much, how long and how far a list is followed."""

    max_bytes: int = 128 * 1024 * 1024
    """Unpacked; the largest public lists have about 50 MB."""
    timeout_s: float = 120.0
    """From the first byte sent to the last one read, redirects included."""
    redirects: int = 5
    attempts: int = 2
    pause_s: float = 2.0
    """Before the second try of a server that was away or busy."""
    at_once: int = 4
    """Lists that are fetched at the same time."""


async def fetch_all(
    urls: Mapping[str, str], folder: Path, limits: FetchLimits | None = None
) -> dict[str, Download]:
    """Bring the copies of several lists up to date: name → what became of it.

    ``folder/NAME.list`` is the copy and ``folder/NAME.json`` what is known of it. A list
    that fails says so in ``error``; it does not stop the others.
    """
    limits = limits or FetchLimits()
    _make(folder)
    gate = asyncio.Semaphore(limits.at_once)
    # No proxy of the environment: what is fetched depends on the configuration alone.
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False) as http:

        async def one(name: str, url: str) -> tuple[str, Download]:
            async with gate:
                return name, await fetch(http, name, url, folder, limits)

        return dict(await asyncio.gather(*(one(name, url) for name, url in urls.items())))


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


async def fetch(
    http: httpx.AsyncClient, name: str, url: str, folder: Path, limits: FetchLimits
) -> Download:
    """Bring one copy up to date and return what is known of it; see ``fetch_all``."""
    known = at_hand(folder, name, url)
    try:
        for attempt in range(1, limits.attempts + 1):
            try:
                async with asyncio.timeout(limits.timeout_s):
                    found = await _once(http, name, known, folder, limits)
                break
            except ClientConnectionError:
                if attempt == limits.attempts:
                    raise
                await asyncio.sleep(limits.pause_s)
    except TimeoutError:
        found = msgspec.structs.replace(
            known, error=f"not all of it came in {limits.timeout_s:g} s"
        )
    except ClientError as error:
        found = msgspec.structs.replace(known, error=str(error)[:300])
    finally:
        (folder / f"{name}.new").unlink(missing_ok=True)
    note = folder / f"{name}.json.new"
    note.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    note.replace(folder / f"{name}.json")
    return found


def at_hand(folder: Path, name: str, url: str) -> Download:
    """Return what is known of a copy; of another URL's copy nothing is."""
    try:
        known = msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=Download)
    except (OSError, msgspec.DecodeError):
        return Download(url=url)
    if known.url != url or not (folder / f"{name}.list").exists():
        return Download(url=url)
    return known


async def _once(
    http: httpx.AsyncClient, name: str, known: Download, folder: Path, limits: FetchLimits
) -> Download:
    sent = {"accept": "text/plain, */*;q=0.5", "accept-encoding": "gzip"}
    if known.sha256 and known.etag:
        sent["if-none-match"] = known.etag
    if known.sha256 and known.modified:
        sent["if-modified-since"] = known.modified
    url = known.url
    for _ in range(limits.redirects + 1):
        try:
            request = http.build_request("GET", url, headers=sent)
            response = await http.send(request, stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            msg = f"{shown(url)}: {error or type(error).__name__}"
            raise ClientConnectionError(msg) from error
        try:
            if response.status_code in _REDIRECTS:
                url = _next(url, response.headers.get("location", ""))
                continue
            return await _taken(response, url, name, known, folder, limits)
        except (httpx.HTTPError, OSError) as error:
            msg = f"{shown(url)}: {error or type(error).__name__}"
            raise ClientConnectionError(msg) from error
        finally:
            await response.aclose()
    msg = f"{shown(known.url)}: more than {limits.redirects} redirects"
    raise ClientResponseError(msg)


async def _taken(
    response: httpx.Response,
    url: str,
    name: str,
    known: Download,
    folder: Path,
    limits: FetchLimits,
) -> Download:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if response.status_code == 304 and known.sha256:
        return msgspec.structs.replace(known, checked_at=now, error=None)
    if response.status_code != 200:
        kind = ClientConnectionError if response.status_code >= 500 else ClientResponseError
        msg = f"{shown(url)}: the server answered {response.status_code}"
        raise kind(msg)
    fresh = folder / f"{name}.new"
    digest, size = await _write(response, url, fresh, limits)
    fresh.replace(folder / f"{name}.list")
    return Download(
        url=known.url,
        sha256=digest,
        bytes=size,
        etag=response.headers.get("etag"),
        modified=response.headers.get("last-modified"),
        fetched_at=now if digest != known.sha256 else known.fetched_at,
        checked_at=now,
        plain=url.startswith("http:"),
    )


async def _write(
    response: httpx.Response, url: str, path: Path, limits: FetchLimits
) -> tuple[str, int]:
    """Write the unpacked body; return its SHA-256 and size.

    Raises:
        ClientResponseError: it is too large, cut off, or packed in a way we do not know.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip", ""}:
        msg = f"{shown(url)}: packed as {encoding[:20]!r}, which was not asked for"
        raise ClientResponseError(msg)
    where = shown(url)
    outer = _Gunzip(where, limits.max_bytes, packed=encoding.endswith("gzip"))
    inner = _Gunzip(where, limits.max_bytes, packed=None)
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        async for chunk in response.aiter_raw(1 << 16):
            for layer in outer.feed(chunk):
                for part in inner.feed(layer):
                    digest.update(part)
                    size += file.write(part)
        outer.finish()
        rest = inner.finish()
        digest.update(rest)
        size += file.write(rest)
    return digest.hexdigest(), size


class _Gunzip:
    """Unpack gzip in bounded steps; with ``packed`` None the first two bytes tell."""

    def __init__(self, where: str, limit: int, *, packed: bool | None) -> None:
        self._where = where
        self._limit = limit
        self._packed = packed
        self._engine = zlib.decompressobj(wbits=31)
        self._head = b""
        self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what some more bytes stand for."""
        if self._packed is None:
            data = self._head = self._head + data
            if len(data) < len(_GZIP):
                return
            self._packed, self._head = data.startswith(_GZIP), b""
        if not self._packed:
            yield self._counted(data)
            return
        try:
            yield from self._unpacked(data)
        except zlib.error as error:
            msg = f"{self._where}: cannot be unpacked: {error}"
            raise ClientResponseError(msg) from error

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._engine.eof:  # a packed file may be several, one after the other
                if not data.startswith(_GZIP):
                    return
                self._engine = zlib.decompressobj(wbits=31)
            part = self._engine.decompress(data, _STEP)
            data = self._engine.unused_data or self._engine.unconsumed_tail
            yield self._counted(part)
            if not data and len(part) < _STEP:
                return

    def _counted(self, part: bytes) -> bytes:
        self._given += len(part)
        if self._given > self._limit:
            msg = f"{self._where}: more than {self._limit:,} bytes"
            raise ClientResponseError(msg)
        return part

    def finish(self) -> bytes:
        """Return what is left.

        Raises:
            ClientResponseError: something is missing at the end.
        """
        if self._packed and not self._engine.eof:
            msg = f"{self._where}: it ends in the middle"
            raise ClientResponseError(msg)
        return self._head


def _next(url: str, location: str) -> str:
    """Return where a redirect leads.

    Raises:
        ClientResponseError: nowhere, out of encryption, or from the internet into the house.
    """
    try:
        target = urljoin(url, location.strip())
        parts = urlsplit(target)
        good = parts.scheme in {"http", "https"} and parts.hostname and location
    except ValueError:
        good = ""
    if not good or parts.hostname is None:
        msg = f"{shown(url)}: redirects to no web address"
        raise ClientResponseError(msg)
    if url.startswith("https:") and parts.scheme == "http":
        msg = f"{shown(url)}: redirects out of encryption, to {shown(target)}"
        raise ClientResponseError(msg)
    if _inside(parts.hostname) and not _inside(urlsplit(url).hostname or ""):
        msg = f"{shown(url)}: redirects into the home network, to {shown(target)}"
        raise ClientResponseError(msg)
    return target


def _inside(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".lan", ".home", ".internal"))


def shown(url: str) -> str:
    """Return a URL as it may be printed: without a password or a key in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
