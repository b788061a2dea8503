"""Collect EVE from a unix socket that Suricata writes to (``filetype: unix_stream``).

Guardian listens and Suricata connects, again and again if need be. What a socket brings
cannot be asked for twice: when the store is slower than Suricata, the queue fills to its
limit, and what comes then is dropped and counted.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from guardian.collect.eve import decoding
from guardian.collect.settings import Settings
from guardian.collect.streams import LineSocket
from guardian.collect.tail_mark import Chunk, Mark
from guardian.errors import CollectorError, ConfigError
from guardian.model.batch import Batch, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from guardian.collect.eve import EveDecoder
    from guardian.collect.streams import Taken

STREAM = "unix:"
DATAGRAMS = "unix-dgram:"
"""What a path begins with that names a socket: of Suricata's ``unix_stream``, ``unix_dgram``."""

ALONE_S = 60.0
"""A Suricata that is started again loads its rules within this time and connects."""


def is_socket(path: Path) -> bool:
    """Tell whether an EVE source is a socket: by its prefix, its ending, or what is there."""
    named = str(path).startswith((STREAM, DATAGRAMS)) or path.suffix in (".sock", ".socket")
    return named or path.is_socket()


class EveSocketCollector:
    """Read EVE from one socket. ``close`` stops listening; what arrived can still be read."""

    def __init__(self, path: Path, settings: Settings = Settings()) -> None:  # noqa: B008 - frozen
        text = str(path)
        datagrams = text.startswith(DATAGRAMS)
        where = Path(text.removeprefix(DATAGRAMS).removeprefix(STREAM))
        if not where.is_absolute():
            msg = f"{text}: a socket is named by its whole path, such as unix:/run/guardian/eve"
            raise ConfigError(msg)
        self._settings = settings
        self._not_stored = 0
        self._socket = LineSocket(
            where,
            queue_bytes=settings.socket_queue_bytes,
            max_line_bytes=settings.max_line_bytes,
            datagrams=datagrams,
        )

    @property
    def source(self) -> SourceInfo:
        """The socket by its path."""
        where = str(self._socket.path)
        return SourceInfo(name=f"eve:unix:{where}", kind="eve", path=where)

    def batches(
        self, bookmark: Mapping[str, object] | None, *, final: bool = False
    ) -> Iterator[Batch]:
        """Yield the events that arrived since the last call; the first call begins to listen.

        What arrives meanwhile waits for the next call: a steady stream would keep this one
        from ever ending, and make a commit of every few events.

        Raises:
            CollectorError: the socket cannot be made, or nobody has written to it for long.
        """
        del final  # whoever writes may always write more
        self._socket.start()
        at = int(str((bookmark or {}).get("bytes", 0)))
        left = self._socket.held_bytes
        taken = self._socket.take(min(left, self._settings.batch_bytes))
        while self._not_stored or not taken.empty:
            with decoding(self._settings.max_line_bytes) as decoder:
                batch = self._batch(decoder, taken, at)
            self._not_stored = 0
            yield batch
            at += len(taken.data)
            left -= len(taken.data)
            if left <= 0:
                break
            taken = self._socket.take(min(left, self._settings.batch_bytes))
        if self._socket.alone_s > ALONE_S:
            msg = f"no Suricata is connected to {self._socket.path}: is it running?"
            raise CollectorError(msg)

    def holds(self) -> bool:
        """Tell whether something that arrived is still to be read, or a loss to be counted."""
        return self._socket.held_bytes > 0 or self._not_stored > 0

    def not_stored(self, number: int) -> None:
        """Count so many events as dropped."""
        self._not_stored += number

    def close(self) -> None:
        """Stop listening. Safe to call twice."""
        self._socket.close()

    def _batch(self, decoder: EveDecoder, taken: Taken, at: int) -> Batch:
        chunk = Chunk(
            file=self._socket.path.name,
            start=at,
            data=taken.data,
            mark=Mark(head="", inode=0, offset=0),  # a socket cannot be read again
            rejects=taken.rejects,
        )
        return dataclasses.replace(
            decoder.batch(chunk),
            bookmark={"bytes": at + len(taken.data)},
            dropped=taken.dropped + self._not_stored,
        )
