"""Collect device sightings from the wire, sparingly: from a capture, or live.

Only the frames by which devices show themselves (``wire_frames``) are read; ARP and
neighbour discovery are kept as raw events too, for the detections of spoofing and
scanning. A live interface is filtered in the kernel; when its queue is full, frames are
dropped and counted. Reading stops at a number of frames that no home needs.
"""

from __future__ import annotations

import collections
import itertools
import json
import logging
import struct
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from guardian.collect import captures, columns, wire_frames
from guardian.collect.captures import DamagedError, Frame
from guardian.errors import CollectorError
from guardian.model.batch import Batch, Reject, SourceInfo

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa
    from scapy.arch.linux import L2ListenSocket

MAX_FRAMES = 50_000
"""How many frames of one capture are read; the rest are counted. Enough for hours of a
busy home, and about two seconds of work."""

BATCH_FRAMES = 10_000

SAME_S = 60.0
"""A device that says the same again within this time is one sighting."""

MAX_SAID = 5_000
"""What of that a live interface remembers, the latest: a hundred devices say less in a minute."""

QUEUE_FRAMES = 20_000
"""How many live frames wait at most, some 10 MB; more are dropped and counted."""

_LOOK_EVERY = 500  # frames, between two looks at the kernel's count of drops
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the store's times are naive UTC
_LAST_SECOND = 4_102_444_799.0  # 2099: later times are none of an event
_SIGHTING: dict[str, pl.DataType | type[pl.DataType]] = {
    "ts": pl.Datetime("us"), "method": pl.String, "mac": pl.String, "ip": pl.String,
    "name": pl.String, "model": pl.String, "detail": pl.String,
}  # fmt: skip
_RAW: dict[str, pl.DataType | type[pl.DataType]] = {
    "ts": pl.Datetime("us"), "event_type": pl.String, "src_ip": pl.String, "dest_ip": pl.String,
    "raw": pl.String,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PcapSightings:
    """Read the sightings of a capture file. Bytes that Suricata reads are left to it."""

    path: Path
    max_frames: int = MAX_FRAMES

    @property
    def source(self) -> SourceInfo:
        """The capture as seen by this reader; Suricata's events of it have their own source."""
        where = str(self.path.absolute())
        return SourceInfo(name=f"wire:{where}", kind="wire", path=where)

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield the sightings; a capture is read once.

        Raises:
            CollectorError: the capture is damaged; what came before is good.
        """
        del final  # a capture does not grow
        done = int(str((bookmark or {}).get("frames", 0)))
        if (bookmark or {}).get("done"):
            return
        gathered = _Gathered()
        count = 0
        damaged = None
        try:
            for frame in captures.frames(self.path, wire_frames.wanted):
                count += 1
                if done < count <= self.max_frames:
                    gathered.add(frame)
                    if gathered.frames >= BATCH_FRAMES:
                        yield gathered.batch({"frames": count, "done": False})
                        gathered = _Gathered()  # as whoever goes on from this bookmark has it
        except DamagedError as error:
            damaged = f"{self.path}: {error}"
        except OSError as error:
            msg = f"cannot read {self.path}: {error.strerror or error}"
            raise CollectorError(msg) from error
        over = count - max(done, self.max_frames)
        if over > 0:
            gathered.refuse(f"more than {self.max_frames} frames", f"frame {self.max_frames}", over)
        yield gathered.batch({"frames": count, "done": True})
        if damaged is not None:
            raise CollectorError(damaged)


class WireCollector:
    """Read the sightings of an interface while it runs; ``close`` stops it."""

    def __init__(self, interface: str, *, queue_frames: int = QUEUE_FRAMES) -> None:
        self.interface = interface
        self._queue: collections.deque[Frame] = collections.deque()
        self._said: dict[tuple[object, ...], float] = {}
        self._limit = queue_frames
        self._dropped = self._told = self._not_stored = 0
        self._closed = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: str | None = None

    @property
    def source(self) -> SourceInfo:
        """The interface by its name."""
        return SourceInfo(name=f"wire:{self.interface}", kind="wire", path=self.interface)

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield what has arrived since the last call; the first call starts to listen.

        Raises:
            CollectorError: the interface is absent or may not be listened on.
        """
        del bookmark, final  # the wire cannot be read again
        self.start()
        gathered = _Gathered(said=self._said)
        for _ in range(len(self._queue)):
            frame = self._queue.popleft()
            gathered.add(frame)
        if gathered.frames:
            self._said = _recent(self._said, frame.ts)
        dropped = self._dropped - self._told  # two threads, and each writes its own number
        self._told += dropped
        dropped, self._not_stored = dropped + self._not_stored, 0
        batch = gathered.batch({"until": time.time()})
        if batch.tables or batch.rejects or dropped:
            yield replace(batch, dropped=dropped)
        if self._failure is not None:
            raise CollectorError(self._failure)

    def start(self) -> None:
        """Listen, unless it does already or was closed.

        Raises:
            CollectorError: the interface is absent or may not be listened on.
        """
        if self._closed or (self._thread is not None and self._thread.is_alive()):
            return
        self._failure = None
        listener = _listener(self.interface)
        self._stop.clear()
        self._thread = threading.Thread(
            target=self._listen, args=(listener,), name=f"wire-{self.interface}", daemon=True
        )
        self._thread.start()

    def holds(self) -> bool:
        """Tell whether frames that arrived are still to be read."""
        return bool(self._queue)

    def not_stored(self, number: int) -> None:
        """Count so many frames as dropped; what they said is news again."""
        self._not_stored += number
        self._said.clear()

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self._closed = True
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
            self._thread = None

    def _listen(self, listener: L2ListenSocket) -> None:
        try:
            for turn in itertools.count(1):
                if self._stop.is_set():
                    break
                if turn % _LOOK_EVERY == 0:
                    self._dropped += _kernel_drops(listener.ins)
                if not listener.select([listener], 0.5):
                    self._dropped += _kernel_drops(listener.ins)
                    continue
                _, data, stamp = listener.recv_raw(65_535)
                if data is None:
                    continue
                if len(self._queue) >= self._limit:
                    self._dropped += 1
                    continue
                # The filter lets all through where the kernel could not take it.
                if wire_frames.wanted(wire_frames.ETHERNET, data, 0, len(data)):
                    seen = float(stamp or time.time())
                    self._queue.append(Frame(seen, wire_frames.ETHERNET, data))
        except OSError as error:
            self._failure = f"cannot listen on {self.interface} any more: {error}"
        finally:
            listener.close()


def _recent(said: dict[tuple[object, ...], float], now: float) -> dict[tuple[object, ...], float]:
    """Return what was said within the last minute, and of that the latest."""
    kept = [(key, moment) for key, moment in said.items() if 0 <= now - moment < SAME_S]
    return dict(kept[-MAX_SAID:])


def _kernel_drops(sock: socket.socket) -> int:
    """Return how many frames the kernel had no room for since the last call (packet(7))."""
    try:
        counts = sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    except OSError:
        return 0
    return int(struct.unpack("=II", counts)[1])


def _listener(interface: str) -> L2ListenSocket:
    # Imported here: scapy takes a second and 60 MB, which only a live interface is worth.
    from scapy.arch.linux import L2ListenSocket  # noqa: PLC0415
    from scapy.error import Scapy_Exception  # noqa: PLC0415

    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)  # it warns of each strange frame
    try:
        return L2ListenSocket(iface=interface, filter=wire_frames.KERNEL_FILTER)
    except PermissionError as error:
        msg = f"listening on {interface} needs the capability CAP_NET_RAW"
        raise CollectorError(msg) from error
    except (OSError, Scapy_Exception, ValueError) as error:
        msg = f"cannot listen on {interface}: {error}"
        raise CollectorError(msg) from error


@dataclass(slots=True)
class _Gathered:
    """Sightings on their way into a batch."""

    sightings: list[tuple[object, ...]] = field(default_factory=list)
    raws: list[tuple[object, ...]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    said: dict[tuple[object, ...], float] = field(default_factory=dict)
    frames: int = 0

    def add(self, frame: Frame) -> None:
        """Read a frame; the same word of the same device within a minute counts once."""
        self.frames += 1
        if not 0 <= frame.ts <= _LAST_SECOND:
            self.refuse("a time that is none of an event", f"{frame.ts}", 1, frame.data)
            return
        ts = _EPOCH + timedelta(microseconds=round(frame.ts * 1_000_000))
        found = wire_frames.read(frame.link, frame.data)
        if found is None:
            self.refuse("a frame that is not what it claims to be", str(ts), 1, frame.data)
            return
        seen, raws = found
        for one in seen:
            detail = json.dumps(one.detail) if one.detail else None
            key = (one.method, one.mac, one.ip, one.name, one.model, detail)
            last = self.said.get(key)
            if last is None or not 0 <= frame.ts - last < SAME_S:
                self.said[key] = frame.ts
                self.sightings.append((ts, *key))
        for raw in raws:
            self.raws.append((ts, raw.event_type, raw.src_ip, raw.dest_ip, raw.as_json()))

    def refuse(self, reason: str, place: str, count: int, sample: bytes = b"") -> None:
        """Count what was not read."""
        self.rejects.append(Reject(reason=reason, place=place, count=count, sample=sample[:2000]))

    def batch(self, bookmark: Mapping[str, object]) -> Batch:
        """Return what was gathered."""
        tables: dict[str, pa.Table] = {}
        if self.sightings:
            tables["sighting"] = _table(self.sightings, _SIGHTING)
        if self.raws:
            tables["raw_event"] = _table(self.raws, _RAW)
        return Batch(
            tables=tables,
            bookmark=bookmark,
            rejects=tuple(self.rejects),
            events=sum(table.num_rows for table in tables.values()),
        )


def _table(
    rows: Iterable[tuple[object, ...]], schema: Mapping[str, pl.DataType | type[pl.DataType]]
) -> pa.Table:
    return columns.to_arrow(pl.DataFrame(list(rows), schema=schema, orient="row"))
