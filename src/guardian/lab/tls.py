"""TLS records for made-up captures: hellos that parsers read, and data nobody can.

RFC 8446 (TLS 1.3): record header, handshake header, and the extensions that a
sensor looks at (server_name, supported_groups, ALPN, supported_versions, key_share).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


def _record(kind: int, data: bytes, version: bytes = b"\x03\x03") -> bytes:
    return bytes([kind]) + version + struct.pack("!H", len(data)) + data


def _handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def _extension(kind: int, body: bytes) -> bytes:
    return struct.pack("!HH", kind, len(body)) + body


def _vector(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width, "big") + data


def tls_client_hello(
    rng: random.Random, sni: str | None, ciphers: tuple[int, ...], alpn: tuple[str, ...]
) -> bytes:
    """Return a client's hello, with the name it wants unless ``sni`` is None."""
    extensions = b""
    if sni is not None:
        entry = b"\x00" + _vector(sni.encode("ascii"), 2)
        extensions += _extension(0, _vector(entry, 2))
    extensions += _extension(23, b"")
    extensions += _extension(10, _vector(struct.pack("!HHH", 0x1D, 0x17, 0x18), 2))
    extensions += _extension(11, b"\x01\x00")
    if alpn:
        protocols = b"".join(_vector(each.encode(), 1) for each in alpn)
        extensions += _extension(16, _vector(protocols, 2))
    extensions += _extension(13, _vector(struct.pack("!HHHH", 0x0403, 0x0804, 0x0401, 0x0503), 2))
    extensions += _extension(43, b"\x04\x03\x04\x03\x03")
    extensions += _extension(45, b"\x01\x01")
    share = struct.pack("!H", 0x1D) + _vector(rng.randbytes(32), 2)
    extensions += _extension(51, _vector(share, 2))
    suites = b"".join(struct.pack("!H", each) for each in ciphers)
    body = b"\x03\x03" + rng.randbytes(32) + _vector(rng.randbytes(32), 1)
    body += _vector(suites, 2) + b"\x01\x00" + _vector(extensions, 2)
    return _record(22, _handshake(1, body), b"\x03\x01")


def tls_server_hello(rng: random.Random, cipher: int) -> bytes:
    """Return a server's hello that settles on TLS 1.3, and the change of cipher."""
    share = struct.pack("!H", 0x1D) + _vector(rng.randbytes(32), 2)
    extensions = _extension(43, b"\x03\x04") + _extension(51, share)
    body = b"\x03\x03" + rng.randbytes(32) + _vector(rng.randbytes(32), 1)
    body += struct.pack("!HB", cipher, 0) + _vector(extensions, 2)
    return _record(22, _handshake(2, body)) + _record(20, b"\x01")


def tls_application(rng: random.Random, size: int) -> bytes:
    """Return ``size`` bytes of sealed data as records.

    Real ones look random throughout; these repeat a block, so that captures pack well.
    """
    block = rng.randbytes(16)
    records = []
    while size > 0:
        piece = min(size, 4096)
        records.append(_record(23, (block * (piece // 16 + 1))[:piece]))
        size -= piece
    return b"".join(records)
