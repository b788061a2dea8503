"""The daemon: collect, judge, respond, tell and serve, in one process, until told to stop.

Loops meet only in the store. Blocking work (reading, SQL) runs in threads; the
event loop only waits and serves the page. A stop lets the batch in hand commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import uvicorn

from guardian import detect, respond, triage
from guardian.app import forecasts, lists, nightly, rpc
from guardian.app.pace import LOOK_S, Pace
from guardian.app.packets import Packets
from guardian.app.service import Service
from guardian.app.sources import with_updated_rules
from guardian.app.supervisor import keep
from guardian.collect.base import Closing, Holding
from guardian.collect.reader import drain
from guardian.errors import (
    ConfigError,
    GuardianError,
    RefusedError,
    StoreFullError,
    StoreReadOnlyError,
)
from guardian.ops.health import forget_components, set_component
from guardian.ops.status import status
from guardian.respond import protect
from guardian.store import ingest, retention
from guardian.store import sensors as sensor_store
from guardian.store.ingest import utc_now
from guardian.triage import reading
from guardian.web import auth
from guardian.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from guardian.collect.base import Collector
    from guardian.collect.suricata_live import Sensor
    from guardian.config import Config
    from guardian.store import Store

log = logging.getLogger(__name__)

OTHER_THREADS = 8
"""Threads besides those of the sources: judging, answering, tending, the nightly work."""
JUDGE_IDLE_S = 30.0
JUDGE_EVERY_S = 1.0
"""At most this often are new rows judged."""
RESPOND_EVERY_S = 1.0
"""How often ends are looked for when nobody answered."""
PATIENCE_S = 10.0
"""So long what is at work may take to end by itself when Guardian is told to stop."""
NIGHTLY_EVERY_S = 20.0
HEARTBEAT_EVERY_S = 10.0
SENSOR_EVERY_S = 2.0
QUESTIONS_EVERY_S = 0.5
PRESERVE_EVERY_S = 60.0
MODELS_EVERY_S = 30.0
"""How often each machine with a model is looked at."""


class Daemon:
    """Everything that runs in one process over one store."""

    def __init__(
        self,
        store: Store,
        config: Config,
        collectors: Sequence[Collector],
        *,
        sensors: Sequence[Sensor] = (),
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._store = store
        self._config = config
        self._models = triage.Pool(config.triage.endpoints)
        self._packets = Packets(store, config)
        self._collectors = collectors
        self._sensors = sensors
        self._clock = clock
        self._keeper = retention.Keeper(store, self._config.store)
        self._read_at: dict[str, datetime] = {}
        self._started = utc_now()
        self._halt = threading.Event()
        self._stop = asyncio.Event()
        self._fresh = asyncio.Event()
        self._answered = asyncio.Event()

    async def run(self, *, ready: Callable[[str], None] = lambda _url: None) -> None:
        """Run until SIGTERM or SIGINT; ``ready`` gets the page's URL once it answers.

        Raises:
            ConfigError: the address to listen on cannot be used.
            RefusedError: it is reachable from outside and has no password.
        """
        loop = asyncio.get_running_loop()
        # Every source has a thread of its own to wait in: none is kept from its work by others.
        loop.set_default_executor(ThreadPoolExecutor(OTHER_THREADS + len(self._collectors)))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        service = Service(
            store=self._store,
            config=self._config,
            running=True,
            wake=self._wake(loop),
            reload_rules=self._reload_rules,
        )
        listening = bind(self._config.listen)
        server = self._server(loop)
        answering = await rpc.serve(service, self._data())
        # A disk that cannot be written is said by the store; what it holds is shown.
        with contextlib.suppress(StoreFullError, StoreReadOnlyError):
            await asyncio.to_thread(
                ingest.begin, self._store, [each.source for each in self._collectors]
            )
            await asyncio.to_thread(forget_components, self._store)
        tasks = [asyncio.create_task(each) for each in self._loops()]
        page = asyncio.create_task(server.serve(sockets=[listening]))
        tasks.append(asyncio.create_task(self._announce(server, listening, ready)))
        await self._stop.wait()
        log.info("stopping")
        self._halt.set()
        threading.Thread(target=self._hurry, daemon=True).start()
        server.should_exit = True
        for task in tasks:
            task.cancel()
        answering.close()
        for sensor in self._sensors:
            await asyncio.to_thread(sensor.stop)
        for collector in self._collectors:
            if isinstance(collector, Closing):
                await asyncio.to_thread(self._close, collector)
        await asyncio.gather(page, *tasks, return_exceptions=True)
        await self._models.aclose()
        with contextlib.suppress(FileNotFoundError):
            (self._data() / rpc.SOCKET_NAME).unlink()

    def _hurry(self) -> None:
        """Let nobody wait minutes for a statement: it is undone, and done again another time."""
        time.sleep(PATIENCE_S)
        while self._store.abandon():
            time.sleep(0.2)

    def _loops(self) -> list[Coroutine[None, None, None]]:
        collecting = [
            self._kept(collector.source.name, self._collect(collector))
            for collector in self._collectors
        ]
        return [
            *collecting,
            *(
                self._kept(f"suricata {each.interface}", self._tend(each), "red")
                for each in self._sensors
            ),
            self._kept("judge", self._judge),
            self._kept("respond", self._respond),
            self._kept("explain", self._explain),
            self._kept("models", self._watch_models),
            self._kept("questions", self._read_questions),
            self._kept("nightly", self._nightly),
            self._kept("blocklists", self._lists),
            self._kept("heartbeat", self._heartbeat),
            self._kept("limits", self._limits),
            *([self._kept("evidence", self._preserve)] if self._sensors else []),
        ]

    def _kept(
        self, name: str, work: Callable[[], Coroutine[None, None, None]], failing: str = "amber"
    ) -> Coroutine[None, None, None]:
        return keep(name, work, self._report, failing=failing)

    async def _report(self, name: str, state: str, detail: str) -> None:
        await asyncio.to_thread(set_component, self._store, name, state, detail)

    def _collect(self, collector: Collector) -> Callable[[], Coroutine[None, None, None]]:
        pace = Pace(collector)

        async def once() -> None:
            if not pace.due():
                await asyncio.sleep(LOOK_S)
                return
            pace.begin()
            got = await asyncio.to_thread(drain, self._store, collector, stop=self._halt)
            self._read_at[collector.source.name] = utc_now()
            if got.events:
                self._fresh.set()
            await asyncio.sleep(pace.rest_s(got.events, failed=got.error is not None))

        return once

    def _close(self, collector: Collector) -> None:
        """Close what a collector holds open, and store what had arrived there by then."""
        if isinstance(collector, Closing):
            collector.close()
        if isinstance(collector, Holding) and collector.holds():
            with contextlib.suppress(GuardianError):  # a full store is said elsewhere
                drain(self._store, collector, final=True)

    def _tend(self, sensor: Sensor) -> Callable[[], Coroutine[None, None, None]]:
        async def once() -> None:
            if await asyncio.to_thread(self._tend_now, sensor):
                trouble = sensor.trouble()
                await self._report(
                    f"packets on {sensor.interface}",
                    "amber" if trouble else "green",
                    trouble or "all seen",
                )
            await asyncio.sleep(SENSOR_EVERY_S)

        return once

    def _tend_now(self, sensor: Sensor) -> bool:
        with self._store.read() as reader:
            text = reader.value("SELECT bookmark FROM source WHERE name = ?", [f"eve:{sensor.eve}"])
        if not sensor.tend(json.loads(text) if text else None):
            return False
        sensor_store.note(self._store, sensor.state())
        return True

    def _reload_rules(self) -> None:
        for sensor in self._sensors:
            sensor.reload_rules(with_updated_rules(self._config).collect)

    async def _judge(self) -> None:
        # Also without news: a detector that rested has rows to look at.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._fresh.wait(), JUDGE_IDLE_S)
        self._fresh.clear()
        await asyncio.to_thread(self._judge_now)
        await asyncio.sleep(JUDGE_EVERY_S)

    def _judge_now(self) -> None:
        now = self._clock() if self._clock else None
        detect.run(self._store, self._detecting(), now=now, paced=True)
        triage.run(self._store, self._config.triage, now=now)
        respond.propose(self._store, self._config.respond, now=now)
        forecasts.update(self._store, now=now, days=self._config.respond.forecast_days)

    def _detecting(self) -> detect.Settings:
        """Return how to detect, with the addresses of this machine as they are now.

        A store whose clock is another one is a played evening: its house is not this one, and
        an address of this machine may be anybody's there.
        """
        settings = self._config.detect
        here = () if self._clock else protect.own_addresses()
        return dataclasses.replace(settings, own_addresses=(*settings.own_addresses, *here))

    async def _respond(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), RESPOND_EVERY_S)
        self._answered.clear()
        await respond.step(self._store, self._config.respond)

    async def _explain(self) -> None:
        await triage.embed_pending(self._store, self._config.triage, self._models)
        await triage.explain_pending(self._store, self._config.triage, pool=self._models)
        await asyncio.sleep(JUDGE_EVERY_S)

    async def _read_questions(self) -> None:
        if not await reading.read_pending(self._store, self._config.triage, self._models):
            await asyncio.sleep(QUESTIONS_EVERY_S if self._models.members else JUDGE_IDLE_S)

    async def _watch_models(self) -> None:
        await triage.watch(self._store, self._config.triage, self._models)
        await asyncio.sleep(MODELS_EVERY_S)

    async def _preserve(self) -> None:
        now = self._clock() if self._clock else utc_now()
        await asyncio.to_thread(self._packets.preserve, now)
        await asyncio.sleep(PRESERVE_EVERY_S)

    async def _nightly(self) -> None:
        await asyncio.to_thread(nightly.run_due, self._store, self._config)
        await asyncio.sleep(NIGHTLY_EVERY_S)

    async def _lists(self) -> None:
        await asyncio.sleep(lists.CHECK_S)
        if await asyncio.to_thread(lists.due, self._config, now=utc_now(), started=self._started):
            await lists.build_apart(self._store, self._config)

    async def _heartbeat(self) -> None:
        """Note when each source was last read to its end, whether it had news or not."""
        await asyncio.sleep(HEARTBEAT_EVERY_S)
        await asyncio.to_thread(ingest.note_read, self._store, dict(self._read_at))

    async def _limits(self) -> None:
        now = self._clock() if self._clock else utc_now()
        await asyncio.to_thread(self._keeper.round, now=now)
        await asyncio.sleep(self._config.store.tick_s)

    async def _announce(
        self, server: uvicorn.Server, listening: socket.socket, ready: Callable[[str], None]
    ) -> None:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.05)
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{port}")

    def _server(self, loop: asyncio.AbstractEventLoop) -> uvicorn.Server:
        host, port = split_address(self._config.listen)
        with self._store.read() as reader:
            locked = auth.has_password(reader)
        if auth.required(self._config.listen) and not locked:
            msg = (
                f"{self._config.listen} can be reached from other machines, so the page needs "
                "a password first: guardian password"
            )
            raise RefusedError(msg)
        page = create_app(
            self._store,
            self._config.web,
            wake=self._wake(loop),
            listen=self._config.listen,
            status=lambda: status(self._store, running=True),
            base_url=self._config.notify.base_url,
            respond_settings=self._config.respond,
            list_settings=self._config.lists,
            now=self._clock or utc_now,
            packet_source=self._packets,
        )
        settings = uvicorn.Config(
            page,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
        )
        return _QuietServer(settings)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        def wake() -> None:
            loop.call_soon_threadsafe(self._answered.set)

        return wake

    def _data(self) -> Path:
        return self._config.data


class _QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the daemon has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(listen: str) -> socket.socket:
    """Take the address that the page will answer on, before anything else is started.

    Raises:
        ConfigError: it is not of the right form, in use, or not one of this machine's.
    """
    host, port = split_address(listen)
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        msg = f"the page cannot listen on {listen}: {error.strerror or error}; see --listen"
        raise ConfigError(msg) from error
    return taken


def split_address(text: str) -> tuple[str, int]:
    """Split ``ADDRESS:PORT``; IPv6 addresses stand in brackets.

    Raises:
        ConfigError: it is not of that form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        msg = f"listen = {text!r}: not ADDRESS:PORT, such as 127.0.0.1:8480"
        raise ConfigError(msg)
    return host.strip("[]") or "127.0.0.1", int(port)
