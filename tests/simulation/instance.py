"""One instance: the parts of the service that the pipeline consists of, composed as app.py does."""

import asyncio
import random
from contextvars import copy_context
from functools import partial

from btc_price_tracker import app, pipeline
from btc_price_tracker.backend import restore_recent
from btc_price_tracker.broker.alone import Alone
from btc_price_tracker.broker.link import Link
from btc_price_tracker.broker.options import Timing
from btc_price_tracker.fanout.current import INITIAL
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price.clock_check import ClockCheck
from btc_price_tracker.settings import Settings
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.succession import Candidate
from btc_price_tracker.web.limits import Limits, Slot, StreamLimits
from btc_price_tracker.web.stream.position import Anchor, Position
from btc_price_tracker.web.stream.response import PriceStream
from btc_price_tracker.web.stream.shared import Streams
from simulation.broker import SimulatedBroker
from simulation.client import Client, Wire
from simulation.loop import PROCESS, Process, SimulatedLoop
from simulation.parts import Database, SimulatedClock, SimulatedPoller, SimulatedStore
from simulation.server import Line, Server

SCOPE = {"type": "http", "method": "GET", "http_version": "1.1", "scheme": "http"}


class Instance:
    """A machine with a clock and a line to the broker, on which a process runs or doesn't."""

    def __init__(
        self, number: int, settings: Settings, server: Server, database: Database, chance: random.Random
    ) -> None:
        self.number, self.name = number, f"i{number}"
        self.clock, self.line = SimulatedClock(), Line()
        self._settings, self._server, self._database, self._random = settings, server, database, chance
        self.process: Process | None = None
        self.wires: list[Wire] = []
        self._loop: SimulatedLoop = asyncio.get_running_loop()  # type: ignore[assignment]
        self._streams: Streams | None = None
        self._main: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    @property
    def is_serving(self) -> bool:
        return self._streams is not None and not self._streams.hub.draining

    def start(self) -> None:
        self.process = self._loop.process(self.name)
        self._stop = asyncio.Event()
        self._main = self._spawn(self._run())

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more; its clients are disconnected."""
        if self.process is not None:
            self.process.is_dead, self.process.is_suspended = True, False
        self._gone()

    def stop(self) -> None:
        """SIGTERM."""
        self._stop.set()

    def suspend(self) -> None:
        if self.process is not None:
            self._loop.suspend(self.process)

    def resume(self) -> None:
        if self.process is not None:
            self._loop.resume(self.process)

    def connect(self, client: Client) -> Wire:
        wire = Wire(client, self.name)
        self.wires.append(wire)
        self._spawn(self._serve(wire))
        return wire

    def _spawn(self, coroutine: object) -> "asyncio.Task[None]":
        context = copy_context()
        context.run(PROCESS.set, self.process)
        return self._loop.create_task(coroutine, context=context)  # type: ignore[arg-type]

    def _gone(self) -> None:
        self.process = self._streams = None
        for wire in self.wires:
            wire.disconnected.set()
        self.wires.clear()

    async def _serve(self, wire: Wire) -> None:
        assert self._streams is not None
        after = wire.client.ids[-1] if wire.client.ids else None
        position = Position(Anchor.NOW) if after is None else Position(Anchor.ID, after)
        slot = Slot(Limits(self._streams.hub, StreamLimits()))
        try:
            await PriceStream(self._streams, position, slot)(SCOPE, wire.receive, wire.send)
        finally:
            wire.disconnected.set()

    async def _run(self) -> None:
        settings, clock, timing = self._settings, self.clock, Timing()
        broker = SimulatedBroker(self._server, self.line, self.name, clock, timing)
        store, link = SimulatedStore(self._database), Link(clock)
        restored = await restore_recent(settings, store, clock, broker, link)
        link.restore(restored.recent)
        ring = Ring(settings.store_size, restored.floor, restored.frames)
        hub = Hub(ring, clock, settings.heartbeat, restored.last, INITIAL)
        outbox = Outbox(store, clock, 1000)
        self._streams = Streams(hub, ring, store, outbox.lost_ranges, peer_wait=app.PEER_WAIT)
        poller = SimulatedPoller(clock, self._random)
        rounds = pipeline.Rounds(settings.interval, poller, ClockCheck(clock), self.name)  # type: ignore[arg-type]
        alone = Alone(partial(pipeline.show, hub=hub), size=1000)
        lead, serve = app._loops(settings, rounds, Candidate(broker, link, alone, hub, store, outbox))
        running = [asyncio.create_task(loop()) for loop in (lead, *serve, hub.watch, outbox.recover)]
        stopped = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            task.result()
        await hub.drain(0.2)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await outbox.close()
        self._gone()
