"""One history: instances, broker, store and clients, the faults of a plan, and what the invariants found."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from btc_price_tracker.broker.options import Timing
from btc_price_tracker.price.model import Tick
from btc_price_tracker.settings import Settings
from simulation import invariants
from simulation.client import Client, Wire
from simulation.instance import Instance
from simulation.loop import SimulatedLoop
from simulation.parts import Database
from simulation.plan import Fault, Kind, Plan
from simulation.server import LATENCY, Server

SLACK = 8.0  # seconds beyond lease and interval: a request that timed out just before, pauses before retries
SETTLING = 35.0  # seconds without faults after which every client must have a new price: above PEER_WAIT


@dataclass(slots=True)
class History:
    """What happened, for the invariants."""

    plan: Plan
    server: Server
    database: Database
    clients: list[Client]
    forgotten: set[int] = field(default_factory=set)  # published, not stored, when the broker lost its memory
    violations: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    end: float = 0.0

    def trace(self) -> str:
        """Everything in order, to see what led to a violation."""
        published = [
            f"{each.at:.3f} broker accepts {each.tick.id} of term {each.epoch}.{each.term}"
            for each in self.server.accepted
        ]
        seen = [
            f"{line.split()[0]} {client.name}@{line.split(' ', 1)[1]}"
            for client in self.clients
            for line in client.seen
        ]
        lines = sorted(self.log + published + seen, key=lambda line: float(line.split()[0]))
        return "\n".join([repr(self.plan), *lines, *self.violations])


def run(plan: Plan, *, is_fenced: bool = True) -> History:
    """Run a history to its end and check it."""
    loop = SimulatedLoop()
    before = random.getstate()
    random.seed(plan.seed)  # the jitter of the code itself
    with _silent():
        try:
            return loop.run(_World(plan, is_fenced=is_fenced).run())
        finally:
            loop.close()
            random.setstate(before)


class _World:
    def __init__(self, plan: Plan, *, is_fenced: bool) -> None:
        chance = random.Random(plan.seed)
        self.plan, self.chance = plan, chance
        self.server = Server(chance, is_fenced=is_fenced)
        self.database = Database(chance, self._is_published)
        self.clients = [Client(f"c{number}") for number in range(plan.clients)]
        self.history = History(plan, self.server, self.database, self.clients)
        self.wires: dict[str, Wire] = {}
        self.active: list[Fault] = []

    async def run(self) -> History:
        plan, settings = self.plan, _settings(self.plan.interval)
        self.instances = [
            Instance(number, settings, self.server, self.database, self.chance)
            for number in range(plan.instances)
        ]
        for instance in self.instances:
            instance.start()
        clients = [asyncio.create_task(self._client(client)) for client in self.clients]
        for at, fault, begins in _schedule(plan):
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            self._note(f"{fault.kind} {fault.target} {fault.seconds:g} {'begins' if begins else 'ends'}")
            self._apply(fault, begins=begins)
        await asyncio.sleep(plan.troubled - asyncio.get_running_loop().time())
        for instance in self.instances:
            if instance.process is None:
                instance.start()
        self._note("faults have stopped")
        await asyncio.sleep(SETTLING + 2 * plan.interval)
        for client in clients:
            client.cancel()
        self.history.end = asyncio.get_running_loop().time()
        self.history.violations += invariants.check(self.history, Timing().lease + plan.interval + SLACK)
        return self.history

    def _is_published(self, tick: Tick) -> bool:
        return any(each.tick == tick for each in reversed(self.server.accepted))

    def _note(self, text: str) -> None:
        self.history.log.append(f"{asyncio.get_running_loop().time():.3f} {text}")

    def _apply(self, fault: Fault, *, begins: bool) -> None:
        (self.active.append if begins else self.active.remove)(fault)
        instance = self.instances[fault.target % len(self.instances)]
        match fault.kind:
            case Kind.KILL | Kind.STOP:
                self._restart(instance, fault.kind, begins=begins)
            case Kind.SUSPEND:
                (instance.suspend if self._is_on(fault.kind, instance) else instance.resume)()
            case Kind.CLOCK if begins:
                instance.clock.offset = round(fault.seconds * 1000)
            case Kind.BROKER_DOWN | Kind.BROKER_LOSS:
                self._restart_broker(fault.kind, begins=begins)
            case Kind.MOVE if begins:
                self._move(self.clients[fault.target % len(self.clients)])
        for each in self.instances:
            self._network(each)
        self.database.fails = self._is_on(Kind.STORE_FAILS)
        self.database.latency = 1.3 if self._is_on(Kind.STORE_SLOW) else 0.002

    def _network(self, instance: Instance) -> None:
        line, was_cut = instance.line, instance.line.is_cut
        line.is_cut = self._is_on(Kind.CUT, instance)
        line.latency = 1.2 if self._is_on(Kind.SLOW, instance) else LATENCY
        is_lossy = self._is_on(Kind.LOSSY, instance)
        line.loss = 0.4 if is_lossy else 0.0
        line.repeats = random.Random(self.plan.seed) if is_lossy else None
        if was_cut and not line.is_cut:
            for connection in self.server.followers:
                if connection.line is line:
                    connection.pump()

    def _is_on(self, kind: Kind, instance: Instance | None = None) -> bool:
        return any(
            fault.kind is kind and (instance is None or fault.target % len(self.instances) == instance.number)
            for fault in self.active
        )

    def _restart(self, instance: Instance, kind: Kind, *, begins: bool) -> None:
        if begins and instance.process is not None:
            (instance.kill if kind is Kind.KILL else instance.stop)()
        elif not begins and instance.process is None:
            instance.start()

    def _restart_broker(self, kind: Kind, *, begins: bool) -> None:
        if begins:
            self.server.stop()
            if kind is Kind.BROKER_LOSS:
                stored = self.database.held()
                self.history.forgotten |= {each.tick.id for each in self.server.accepted} - stored.keys()
                self.server.forget()
        elif not (self._is_on(Kind.BROKER_DOWN) or self._is_on(Kind.BROKER_LOSS)):
            self.server.start()

    def _move(self, client: Client) -> None:
        client.instance += 1
        if client.name in self.wires:
            self.wires[client.name].disconnected.set()

    async def _client(self, client: Client) -> None:
        while True:
            instance = self.instances[client.instance % len(self.instances)]
            if instance.is_serving:
                wire = self.wires[client.name] = instance.connect(client)
                await wire.disconnected.wait()
            else:
                client.instance += 1
            await asyncio.sleep(self.chance.uniform(0.2, 2))


def _schedule(plan: Plan) -> list[tuple[float, Fault, bool]]:
    begins = [(fault.at, fault, True) for fault in plan.faults]
    ends = [
        (fault.at + max(fault.seconds, 0) if fault.kind is not Kind.CLOCK else plan.troubled, fault, False)
        for fault in plan.faults
    ]
    return sorted(begins + ends, key=lambda each: each[0])


_SETTINGS: dict[float, Settings] = {}


def _settings(interval: float) -> Settings:
    if interval not in _SETTINGS:
        chosen: dict[str, Any] = {
            "interval": interval,
            "broker_url": "redis://simulated",
            "store_url": "memory://",
            "store_size": 1000,
            "retention": "0",
        }
        _SETTINGS[interval] = Settings(**chosen)
    return _SETTINGS[interval]


@contextmanager
def _silent() -> Iterator[None]:
    """Drop log lines: formatting them would take longer than the history."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        yield
    finally:
        structlog.configure(**before)
