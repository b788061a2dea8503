"""Fuzzed too: what is read whole, not line by line: databases, archives, lists, answers."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sqlite3
import struct
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from guardian.clients.http import Answer
from guardian.clients.pihole_network import Devices, Leases
from guardian.collect import pihole_devices
from guardian.collect.pihole_db import PiholeDbCollector
from guardian.detect import indicators
from guardian.errors import GuardianError
from guardian.intel import list_formats
from guardian.store import bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Memory where there is some; removed when the process ends.
_HOLDER = tempfile.TemporaryDirectory(
    prefix="guardian-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
)
_FOLDER = Path(_HOLDER.name)
ROOM_BYTES = 8 << 20

# Pi-hole's database: the shapes of schema 9 and 21, as far as they are read

_OLD = """
CREATE TABLE queries (id INTEGER PRIMARY KEY, timestamp, type, status, domain, client, forward);
CREATE TABLE network (id INTEGER PRIMARY KEY, hwaddr, interface);
CREATE TABLE network_addresses (network_id, ip, lastSeen);
"""
_NEW = """
CREATE TABLE query_storage (id INTEGER PRIMARY KEY, timestamp, type, status, domain, client,
    forward, reply_type, reply_time);
CREATE TABLE domain_by_id (id INTEGER PRIMARY KEY, domain);
CREATE TABLE client_by_id (id INTEGER PRIMARY KEY, ip, name);
CREATE TABLE forward_by_id (id INTEGER PRIMARY KEY, forward);
CREATE TABLE network (id INTEGER PRIMARY KEY, hwaddr, interface);
CREATE TABLE network_addresses (network_id, ip, lastSeen, name);
CREATE VIEW queries AS SELECT id FROM query_storage;
"""
_FTL = "CREATE TABLE ftl (id, value);"


def _read_database(path: Path) -> None:
    bookmark = None
    with contextlib.suppress(GuardianError):
        for _ in range(2):  # the second time from the bookmark of the first
            for batch in PiholeDbCollector(path=path).batches(bookmark, final=True):
                bookmark = json.loads(json.dumps(batch.bookmark))


def database(data: bytes) -> None:
    """Read bytes as a database file."""
    path = _FOLDER / "pihole-FTL.db"
    path.write_bytes(data)
    _read_database(path)


def databases() -> Iterable[bytes]:
    """Return small databases of both shapes."""
    for schema in (_OLD, _NEW):
        with contextlib.closing(_filled(schema, iter(_VALUES))) as db:
            yield db.serialize()


_VALUES = [1, 1_700_000_000.5, 1, 2, 1, 1, 1, 3, 0.0125, 1, "a.example", 1, "192.168.1.5", "x"]


def values(data: bytes) -> None:
    """Read a database whose cells hold anything that SQLite can hold."""
    if not data:
        return
    path = _FOLDER / "values.db"
    path.unlink(missing_ok=True)
    with contextlib.closing(_filled(_NEW if data[0] & 1 else _OLD, _cells(data[1:]))) as db:
        path.write_bytes(db.serialize())
    _read_database(path)


def _filled(schema: str, cells: Iterator[object]) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.executescript(schema + _FTL)
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        width = len(db.execute(f"PRAGMA table_info({name})").fetchall())
        for _ in range(4):
            row = [next(cells, None) for _ in range(width)]
            with contextlib.suppress(sqlite3.IntegrityError):  # an id that is no number, or known
                db.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * width)})", row)
    db.commit()
    return db


def _cells(data: bytes) -> Iterator[object]:
    """Cut bytes into values: a byte for the kind, then what it needs."""
    rest = io.BytesIO(data)
    while kind := rest.read(1):
        match kind[0] % 6:
            case 0:
                yield kind[0] // 6
            case 1:
                yield struct.unpack("<q", rest.read(8).ljust(8, b"\0"))[0]
            case 2:
                yield struct.unpack("<d", rest.read(8).ljust(8, b"\0"))[0]
            case 3:
                yield rest.read(kind[0] // 6).decode("utf-8", "replace")
            case 4:
                yield rest.read(kind[0] // 6)
            case _:
                yield None


def cells() -> Iterable[bytes]:
    """Return the cells of good rows."""
    made = b""
    for value in _VALUES:
        if isinstance(value, int):
            made += bytes([value * 6])
        elif isinstance(value, float):
            made += b"\x02" + struct.pack("<d", value)
        else:
            made += bytes([len(value) * 6 + 3]) + value.encode()
    return [b"\0" + made * 3, b"\1" + made * 3]


# Answers of Pi-hole about the network


def network(data: bytes) -> None:
    """Read an answer that lists devices or leases."""
    answer = Answer(method="GET", url="http://pi.hole/api", status=200, headers={}, body=data)
    with contextlib.suppress(GuardianError):
        found = pihole_devices.Found(
            devices=answer.decode(Devices).devices, leases=answer.decode(Leases).leases
        )
        pihole_devices.sightings(found, since_s=0, known=pihole_devices.digests(found)[:1])


def network_answers() -> Iterable[bytes]:
    """Return answers with a device and a lease."""
    device = {"hwaddr": "02:00:00:AA:BB:CC", "interface": "eth0", "ips": [
        {"ip": "192.168.1.5", "name": "tv", "lastSeen": 1_700_000_000}]}  # fmt: skip
    lease = {"expires": 0, "name": "*", "hwaddr": "02:00:00:AA:BB:CC", "ip": "::ffff:192.168.1.5"}
    return [json.dumps({"devices": [device], "leases": [lease]}).encode()]


# Backups


def backup(data: bytes) -> None:
    """Unpack bytes as a backup."""
    path, out = _FOLDER / "backup", _FOLDER / "restored"
    path.write_bytes(data)
    out.mkdir(exist_ok=True)
    try:
        with contextlib.suppress(GuardianError):
            bundle.is_bundle(path)
            bundle.extract(path, out, None, room_bytes=ROOM_BYTES)
        size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
        assert size <= ROOM_BYTES, "more was written than there is room for"
    finally:
        shutil.rmtree(out)


def plain_backup(data: bytes) -> None:
    """Unpack bytes as the tar within a backup: nothing stops at the compression."""
    backup(zstandard.ZstdCompressor(level=1).compress(data))


def backups() -> Iterable[bytes]:
    """Return a backup of a small file, and what an encrypted one begins with."""
    made = [zstandard.ZstdCompressor().compress(tar) for tar in tars()]
    return [*made, bundle._header(bundle.KEY, 5) + b"abcde" + bytes(507)]


def tars() -> Iterable[bytes]:
    """Return the tar of a backup."""
    out = io.BytesIO()
    listed = {"name": "guardian.duckdb", "bytes": 3, "sha256":
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}  # fmt: skip
    manifest = {"format": 1, "guardian": "1", "schema": 1, "made_at": "2026-11-20T20:00:00",
                "rows": {}, "files": [listed]}  # fmt: skip
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in (
            ("guardian.duckdb", b"abc"),
            (bundle.MANIFEST, json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return [out.getvalue()]


# Lists


def blocklist(data: bytes) -> None:
    """Read a list of names, whatever its format."""
    path = _FOLDER / "list.txt"
    path.write_bytes(data)
    with contextlib.suppress(GuardianError):
        list_formats.read(path)


def blocklists() -> Iterable[bytes]:
    """Return a list of each format."""
    return [
        b"# hosts\n0.0.0.0 a.example\n127.0.0.1 b.example c.example\n",
        b"a.example\n*.b.example\n",
        b"[Adblock Plus]\n||a.example^\n@@||b.example^$important\n||c.example^$badfilter\n",
        b"address=/a.example/\nserver=/b.example/#\nlocal=/c.example/\n",
        b'server:\nlocal-zone: "a.example" always_null\nlocal-data: "b.example A 0.0.0.0"\n',
        b"$TTL 60\n@ SOA a. b. 1 2 3 4 5\na.example CNAME .\n*.b.example CNAME rpz-passthru.\n",
    ]


def indicator(data: bytes) -> None:
    """Read the lines and the head of a list of indicators."""
    text = data.decode("utf-8", "replace")
    indicators._head(text)
    for line in text.splitlines():
        indicators.parse(line)


def indicator_lists() -> Iterable[bytes]:
    """Return indicators of each kind."""
    return [
        b"# Licence: CC0\n# Last updated: 2026-01-10 04:00\n192.0.2.1\n2001:db8::/32\n"
        b"192.0.2.1:443 # c2\n[2001:db8::1]:80\nhttps://a.example/x?y\nb.example\n"
        b"0.0.0.0 c.example\n" + b"ab" * 16 + b"\n" + b"cd" * 20 + b"\n"
    ]


KINDS: dict[str, tuple[Callable[[bytes], None], Callable[[], Iterable[bytes]]]] = {
    "pihole-db": (database, databases),
    "pihole-values": (values, cells),
    "pihole-network": (network, network_answers),
    "backup": (backup, backups),
    "backup-tar": (plain_backup, tars),
    "blocklist": (blocklist, blocklists),
    "indicator": (indicator, indicator_lists),
}
"""What each reads, and good input of it, by name."""

SLOW = frozenset({"pihole-db", "pihole-values"})
"""Each input costs them two openings of a database."""
