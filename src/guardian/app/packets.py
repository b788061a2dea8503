"""Cut an incident's packets out of what is kept: the sensors' buffers and replayed captures.

A cut is kept below ``DATA/evidence``, because the buffer rolls on and the packets would be gone
by the time somebody asks again. A few cuts are kept, the oldest go.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

import msgspec

from guardian.collect import dissect, packet_buffer
from guardian.collect.capture import fingerprint
from guardian.collect.packets import Cut, cut
from guardian.errors import CollectorError, GuardianError, InputError
from guardian.store import conversations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from guardian.config import Config
    from guardian.model.conversation import Conversation
    from guardian.store import Store

FOLDER = "evidence"
MAX_PACKETS = 20_000
MAX_BYTES = 32 << 20
MAX_SECONDS = 60.0
"""How long looking through captures may take; what was found until then is the cut."""
KEEP_CUTS = 100
KEEP_BYTES = 1 << 30
"""All cuts together; the oldest go."""
PRESERVED = ("high", "critical")
PRESERVE_WITHIN = timedelta(hours=6)
"""Stories this grave are cut out unasked while they are fresh: the buffer rolls on."""
PRESERVE_AGAIN = timedelta(minutes=30)
"""A story that goes on is cut out again so often, as is one that had no packets yet."""
_LOCK = Lock()

NOTHING = (
    "no packets of this incident are kept: its traffic was seen only in logs, was never on a "
    "mirrored port, or has left the rolling packet buffer (collect.packet_buffer_mb)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """An incident's packets: the file and what is known of it."""

    path: Path
    packets: int
    bytes: int
    truncated: bool
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Packets:
    """The packets of incidents, cut out when somebody asks."""

    store: Store
    config: Config
    _tried: dict[int, datetime] = field(default_factory=dict)

    def of(self, incident: int) -> Evidence:
        """Return the packets of an incident; an empty file when none are kept.

        Raises:
            InputError: there is no such incident.
            CollectorError: the cut cannot be written.
        """
        with self.store.read() as reader:
            known = reader.value("SELECT key FROM incident WHERE id = ?", [incident])
            wanted = conversations.conversations(reader, incident)
            replayed = conversations.captures(reader)
        if known is None:
            msg = f"there is no incident {incident}; see: guardian incidents"
            raise InputError(msg)
        folder = self.config.data / FOLDER
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Numbers are given again in a store that was restored or begun anew; keys are the story's.
        target = folder / f"incident-{incident}-{_digest([known])}-{_digest(wanted)}.pcap"
        with _LOCK:
            kept = _read(target)
            if kept is not None:
                return kept
            made = self._cut(target, wanted, replayed)
            _tidy(folder)
        return made

    def preserve(self, now: datetime) -> int:
        """Cut out what is grave and fresh, before its packets roll out of the buffer.

        Returns how many incidents were cut out.
        """
        with self.store.read() as reader:
            rows = reader.rows(
                "SELECT id FROM incident WHERE list_contains($levels, level) "
                "AND last_seen > $since AND merged_into IS NULL ORDER BY last_seen DESC LIMIT 5",
                {"levels": list(PRESERVED), "since": now - PRESERVE_WITHIN},
            )
        fresh = [
            row["id"]
            for row in rows
            if now - self._tried.get(row["id"], now - PRESERVE_AGAIN) >= PRESERVE_AGAIN
        ]
        self._tried.update(dict.fromkeys(fresh, now))
        return sum(bool(self.of(incident).packets) for incident in fresh)

    def copy(self, incident: int, target: Path) -> Evidence:
        """Write the packets of an incident to a new file.

        Raises:
            InputError: there is no such incident, none of its packets are kept, or the file exists.
        """
        found = self.of(incident)
        if not found.packets:
            raise InputError(NOTHING)
        try:
            with target.open("xb") as out, found.path.open("rb") as source:
                shutil.copyfileobj(source, out)
        except FileExistsError as error:
            msg = f"{target} exists; name another file"
            raise InputError(msg) from error
        except OSError as error:
            msg = f"{target}: cannot be written: {error.strerror or error}"
            raise InputError(msg) from error
        return found

    def listed(self, incident: int) -> dict[str, Any]:
        """Return what is kept and its first packets, decoded; ``note`` says what is missing."""
        found = self.of(incident)
        note = "" if found.packets else NOTHING
        rows: list[dict[str, Any]] = []
        if found.packets:
            try:
                rows = dissect.packets(found.path)
            except GuardianError as error:
                note = str(error)
        about = asdict(found) | {"path": str(found.path), "problems": list(found.problems)}
        return about | {"note": note, "rows": rows}

    def layers(self, incident: int, number: int) -> list[dict[str, Any]]:
        """Return one packet's layers.

        Raises:
            GuardianError: there is no such packet, or it cannot be decoded.
        """
        found = self.of(incident)
        if not 1 <= number <= found.packets:
            msg = f"there is no packet {number} of incident {incident}"
            raise InputError(msg)
        return dissect.layers(found.path, number)

    def _cut(
        self, target: Path, wanted: list[Conversation], replayed: list[tuple[Path, str]]
    ) -> Evidence:
        deadline = time.monotonic() + MAX_SECONDS
        partial = target.with_suffix(".part")
        got = cut(
            self._captures(wanted, replayed),
            wanted,
            partial,
            max_packets=MAX_PACKETS,
            max_bytes=MAX_BYTES,
            stop=lambda: time.monotonic() > deadline,
        )
        older = sorted(target.parent.glob(f"{target.name.rsplit('-', 1)[0]}-*.pcap"))
        best = max((each for each in map(_read, older) if each), key=_packets, default=None)
        if best is not None and best.packets > got.packets:  # the buffer rolled on meanwhile
            partial.unlink()
            return best
        partial.replace(target)
        for each in older:
            if each != target:
                _remove(each)
        _about(target).write_bytes(msgspec.json.encode(asdict(got)))
        return _evidence(target, got)

    def _captures(
        self, wanted: list[Conversation], replayed: list[tuple[Path, str]]
    ) -> Iterator[Path]:
        """Yield where the packets may be: the live sensors' buffers, then replayed captures."""
        if not wanted:
            return
        since, until = min(each.since for each in wanted), max(each.until for each in wanted)
        for sensor in sorted((self.config.data / "suricata").glob("*")):
            yield from packet_buffer.between(sensor, since, until)
        for path, known in replayed:
            if _is(path, known):
                yield path


def _is(path: Path, known: str) -> bool:
    """Whether the capture still is the one that was replayed."""
    try:
        return path.is_file() and fingerprint(path) == known
    except CollectorError:
        return False


def _digest(wanted: Iterable[object]) -> str:
    text = "\n".join(sorted(repr(each) for each in wanted))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _about(target: Path) -> Path:
    return target.with_suffix(".json")


def _read(target: Path) -> Evidence | None:
    """Return a cut that was made before, unless it holds nothing: packets may come yet."""
    try:
        got = msgspec.json.decode(_about(target).read_bytes(), type=Cut)
    except (OSError, msgspec.DecodeError):
        return None
    return _evidence(target, got) if got.packets and target.exists() else None


def _evidence(target: Path, got: Cut) -> Evidence:
    return Evidence(
        path=target,
        packets=got.packets,
        bytes=got.bytes,
        truncated=got.truncated,
        problems=got.problems,
    )


def _packets(each: Evidence) -> int:
    return each.packets


def _remove(target: Path) -> None:
    target.unlink(missing_ok=True)
    _about(target).unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    cuts = sorted(folder.glob("incident-*.pcap"), key=lambda path: path.stat().st_mtime)
    sizes = {each: each.stat().st_size for each in cuts}
    while cuts and (len(cuts) > KEEP_CUTS or sum(sizes[each] for each in cuts) > KEEP_BYTES):
        _remove(cuts.pop(0))
