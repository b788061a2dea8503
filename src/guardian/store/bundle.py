"""A backup is one file: a tar of the store, its cold tier and a list of both, compressed.

The list (``manifest.json``) comes last: it names each file with its size and hash. With a
passphrase the compressed tar is encrypted with age, for a key that lies beside it and is
itself encrypted with the passphrase; ``tar``, ``age`` and ``zstd`` open it without
Guardian (docs/store.md).

Nothing of a backup is believed: names, kinds, sizes and hashes are checked, and no more
is ever written than there is room for.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import tarfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import msgspec
import pyrage
import zstandard

from guardian.errors import InputError, StoreError, StoreFullError, UsageError
from guardian.model import words
from guardian.store.pipe import piped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANIFEST = "manifest.json"
KEY, DATA = "key.age", "backup.tar.zst.age"
"""The two members of an encrypted backup."""
FORMAT = 1
NAMES = re.compile(
    r"guardian\.duckdb|cold/[a-z_]{1,40}/day=\d{4}-\d{2}-\d{2}/[0-9a-f]{32}\.parquet"
)
"""The only files that a backup may hold, besides the list."""
_ERRNO = re.compile(r"\[Errno (\d{1,4})\]")
_MANIFEST_MOST = 64 << 20
_KEY_MOST = 64 << 10
_CHUNK = 1 << 20
_ZSTD, _AGE_TAR = b"\x28\xb5\x2f\xfd", KEY.encode()


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a backup: its name, its bytes, and their SHA-256."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds. ``rows`` are those of all tables and cold files."""

    format: int
    guardian: str
    schema: int
    made_at: str
    rows: int
    files: list[Entry]


@dataclass(slots=True, kw_only=True)
class Content:
    """What to write: files by their name in the backup, and what the list says of them."""

    files: dict[str, Path]
    guardian: str
    schema: int
    made_at: str
    rows: int
    done: Callable[[int], None] = field(default=lambda _bytes: None)


def write(content: Content, target: Path, passphrase: str | None) -> None:
    """Write a backup.

    Raises:
        OSError: the disk refused, or what was to be written could not be read.
    """
    try:
        with target.open("wb") as out:
            if passphrase is None:
                _write_tar(content, out)
            else:
                _write_encrypted(content, out, passphrase)
            out.flush()
            os.fsync(out.fileno())
    except (pyrage.EncryptError, zstandard.ZstdError, tarfile.TarError) as error:
        # age says in words only what the disk said.
        said = _ERRNO.search(str(error))
        number = int(said[1]) if said else errno.EIO
        raise OSError(number, os.strerror(number) if said else str(error)) from error


def _write_tar(content: Content, out: IO[bytes]) -> None:
    entries = []
    compressor = zstandard.ZstdCompressor(level=3, threads=-1)
    with (
        compressor.stream_writer(out, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        for name, path in content.files.items():
            with path.open("rb") as file:
                info = tarfile.TarInfo(name)
                info.size = os.fstat(file.fileno()).st_size
                info.mode = 0o600
                reader = _Counted(file, content.done)
                tar.addfile(info, reader)
            entries.append(Entry(name=name, bytes=info.size, sha256=reader.digest()))
        text = msgspec.json.encode(
            Manifest(
                format=FORMAT,
                guardian=content.guardian,
                schema=content.schema,
                made_at=content.made_at,
                rows=content.rows,
                files=entries,
            )
        )
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))


def _write_encrypted(content: Content, out: IO[bytes], passphrase: str) -> None:
    """Write key and data; the data's size is filled in when it is known."""
    identity = pyrage.x25519.Identity.generate()
    key = pyrage.passphrase.encrypt(str(identity).encode(), passphrase)
    out.write(_header(KEY, len(key)) + key + _padding(len(key)))
    at = out.tell()
    out.write(_header(DATA, 0))
    with piped(lambda sink: _write_tar(content, sink)) as source:
        pyrage.encrypt_io(source, out, [identity.to_public()])
    size = out.tell() - at - tarfile.BLOCKSIZE
    out.write(_padding(size) + bytes(2 * tarfile.BLOCKSIZE))
    out.seek(at)
    out.write(_header(DATA, size))
    out.seek(0, os.SEEK_END)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def is_encrypted(path: Path) -> bool:
    """Return whether a backup wants a passphrase."""
    with path.open("rb") as file:
        return file.read(len(_AGE_TAR)) == _AGE_TAR


def is_bundle(path: Path) -> bool:
    """Return whether this looks like a backup at all; older ones are bare DuckDB files."""
    with path.open("rb") as file:
        start = file.read(512)
    return start.startswith((_ZSTD, _AGE_TAR))


def extract(
    path: Path,
    folder: Path,
    passphrase: str | None,
    *,
    room_bytes: int,
    done: Callable[[int], None] = lambda _bytes: None,
    spoilt: list[str] | None = None,
) -> Manifest:
    """Write a backup's files below ``folder`` and check each against the list.

    ``spoilt`` takes the names of cold files that are not as the list says, which is otherwise
    an error like any other.

    Raises:
        InputError: it is damaged, or holds what no backup holds.
        UsageError: it wants a passphrase, or another one.
        StoreFullError: its files need more than ``room_bytes``.
    """
    try:
        with path.open("rb") as file:
            if not is_encrypted(path):
                return _read_tar(file, folder, room_bytes, done, spoilt)
            return _read_encrypted(file, folder, passphrase, room_bytes, done, spoilt)
    except (tarfile.TarError, zstandard.ZstdError, pyrage.DecryptError, EOFError) as error:
        msg = f"{path}: the backup is damaged: {error}"
        raise InputError(msg) from error


def _read_encrypted(
    file: IO[bytes],
    folder: Path,
    passphrase: str | None,
    room_bytes: int,
    done: Callable[[int], None],
    spoilt: list[str] | None,
) -> Manifest:
    if passphrase is None:
        msg = "the backup is encrypted; name its passphrase: --passphrase-file FILE"
        raise UsageError(msg)
    members = _members(file)
    name, locked = next(members, ("", None))
    if name != KEY or locked is None or locked.size > _KEY_MOST:
        msg = "the backup is damaged: its key is not there"
        raise InputError(msg)
    try:
        text = pyrage.passphrase.decrypt(locked.read(), passphrase)
        identity = pyrage.x25519.Identity.from_str(text.decode())
    except pyrage.DecryptError as error:
        msg = "the passphrase is not the one of this backup"
        raise UsageError(msg) from error
    except (pyrage.IdentityError, UnicodeDecodeError) as error:
        msg = "the backup is damaged: its key is not one"
        raise InputError(msg) from error
    name, sealed = next(members, ("", None))
    if name != DATA or sealed is None:
        msg = "the backup is damaged: its data is not there"
        raise InputError(msg)

    def decrypt(sink: IO[bytes]) -> None:
        with contextlib.suppress(BrokenPipeError):
            pyrage.decrypt_io(sealed, sink, [identity])

    with piped(decrypt) as plain:
        return _read_tar(plain, folder, room_bytes, done, spoilt)


def _members(file: IO[bytes]) -> Iterator[tuple[str, _Member]]:
    """Give the files of a tar by name, in their order; each is read before the next is asked for.

    A backup has plain files with short names only. Python's own reader would take the long
    names and attributes of other kinds of tar into memory, however long they say they are.

    Raises:
        InputError: there is something that is no plain file.
        EOFError, tarfile.TarError: it is cut or damaged.
    """
    while True:
        block = file.read(tarfile.BLOCKSIZE)
        if not any(block):
            return
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
            msg = f"the backup holds something that is no file: {info.name[:80]!r}"
            raise InputError(msg)
        member = _Member(file, info.size)
        yield info.name, member
        member.skip()


class _Member:
    """The bytes of one file of a tar, and no more."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size
        self.size = size

    def read(self, size: int = -1) -> bytes:
        """Read like a file.

        Raises:
            EOFError: the tar ends before.
        """
        wanted = self._left if size < 0 else min(size, self._left)
        chunk = self._file.read(wanted) if wanted else b""
        if wanted and not chunk:
            msg = "it ends in the middle of a file"
            raise EOFError(msg)
        self._left -= len(chunk)
        return chunk

    def skip(self) -> None:
        """Read to its end, and what fills the last block."""
        while self.read(_CHUNK):
            pass
        self._file.read(-self.size % tarfile.BLOCKSIZE)


def _read_tar(
    packed: IO[bytes],
    folder: Path,
    room_bytes: int,
    done: Callable[[int], None],
    spoilt: list[str] | None,
) -> Manifest:
    found: dict[str, Entry] = {}
    left = room_bytes
    plain = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
        packed, read_across_frames=False
    )
    for name, member in _members(plain):
        if name == MANIFEST:
            return _checked(member, found, spoilt)
        if not NAMES.fullmatch(name) or name in found:
            msg = f"the backup holds a file that is none of ours: {name[:80]!r}"
            raise InputError(msg)
        left -= member.size
        if left < 0:
            msg = (
                f"the backup needs more than the {words.size(max(room_bytes, 0))} that are free "
                f"at {folder.parent}; nothing was changed"
            )
            raise StoreFullError(msg)
        found[name] = _unpack(member, name, folder / name, done)
    msg = "the backup is damaged: it ends before its list"
    raise InputError(msg)


def _unpack(content: _Member, name: str, path: Path, done: Callable[[int], None]) -> Entry:
    path.parent.mkdir(parents=True, exist_ok=True)
    reader = _Counted(content, done)
    try:
        with path.open("xb") as out:
            while chunk := reader.read(_CHUNK):
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
            size = out.tell()
    except OSError as error:
        msg = f"{path} could not be written: {error.strerror}; nothing was changed"
        raise StoreError(msg) from error
    return Entry(name=name, bytes=size, sha256=reader.digest())


def _checked(content: _Member, found: dict[str, Entry], spoilt: list[str] | None) -> Manifest:
    if content.size > _MANIFEST_MOST:
        msg = "the backup is damaged: its list is too long"
        raise InputError(msg)
    try:
        manifest = msgspec.json.decode(content.read(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"the backup's list cannot be read: {error}"
        raise InputError(msg) from error
    if manifest.format != FORMAT:
        msg = f"the backup has form {manifest.format}; this Guardian reads form {FORMAT}"
        raise InputError(msg)
    listed = {entry.name: entry for entry in manifest.files}
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) == found.get(name):
            continue
        cold = name in listed and name in found and name.startswith("cold/")
        if cold and spoilt is not None:
            spoilt.append(name)
        else:
            rest = "; with --force all but it is restored" if cold else ""
            msg = f"the backup is damaged: {name[:120]} is not as its list says{rest}"
            raise InputError(msg)
    return manifest


class _Counted:
    """A file that hashes and counts what is read of it."""

    def __init__(self, file: IO[bytes] | _Member, done: Callable[[int], None]) -> None:
        self._file = file
        self._done = done
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read like the file itself."""
        chunk = self._file.read(size)
        self._hash.update(chunk)
        self._done(len(chunk))
        return chunk

    def digest(self) -> str:
        """Return the SHA-256 of what was read, in hexadecimal."""
        return self._hash.hexdigest()
