"""The state of a simulated broker: one log, one lease, a fence; and the network lines to it."""

import asyncio
import random
from contextvars import Context
from dataclasses import dataclass, field
from typing import TypeVar

from btc_price_tracker.errors import BrokerUnavailable, LeaseLost
from btc_price_tracker.price.model import Tick, Update

T = TypeVar("T")
OUTSIDE = Context()  # of no process
LATENCY = 0.002  # seconds one way
REPEATED = 3.0  # seconds after which a request that was sent twice arrives again, at most


@dataclass(slots=True)
class Line:
    """The network between an instance and the broker."""

    is_cut: bool = False
    latency: float = LATENCY
    loss: float = 0.0  # the probability that an answer is lost
    repeats: random.Random | None = None  # if set, each request may arrive once more, up to REPEATED later


@dataclass(slots=True)
class Publication:
    """What the broker accepted, for the invariants: `epoch` counts how often it has lost its memory."""

    epoch: int
    term: int
    tick: Tick
    at: float


@dataclass(slots=True)
class Server:
    """The state of the broker itself."""

    random: random.Random
    is_down: bool = False
    is_fenced: bool = True
    epoch: int = 0
    term: int = 0
    token: str | None = None
    expires: float = 0.0
    log: list[tuple[str, Update]] = field(default_factory=list)  # token and update
    followers: list["Connection"] = field(default_factory=list)
    accepted: list[Publication] = field(default_factory=list)

    @property
    def last(self) -> int:
        return next((update.tick.id for _, update in reversed(self.log) if update.tick), 0)

    def stop(self) -> None:
        """Break every connection."""
        self.is_down = True
        for connection in self.followers:
            connection.put(BrokerUnavailable("connection closed"))
        self.followers.clear()

    def start(self) -> None:
        self.is_down = False

    def forget(self) -> None:
        """Lose the history, the lease and the number of the term."""
        self.epoch += 1
        self.term, self.token, self.expires = 0, None, 0.0
        self.log.clear()

    def campaign(self, owner: str, floor: int, lease: float) -> tuple[int, int] | None:
        """The number of a new term and the highest id, or None while another has the lease."""
        now = _now()
        if self.token is not None and now < self.expires:
            return None
        self.term = max(self.term, floor) + 1
        self.token, self.expires = f"{owner}:{self.term}", now + lease
        return self.term, self.last

    def _leads(self, token: str) -> bool:
        return not self.is_fenced or (self.token == token and _now() < self.expires)

    def renew(self, token: str, lease: float) -> None:
        if not self._leads(token):
            raise LeaseLost("another instance has the lease")
        self.expires = _now() + lease

    def resign(self, token: str) -> None:
        if self.token == token:
            self.token = None

    def publish(self, token: str, update: Update) -> None:
        if not self._leads(token):
            raise LeaseLost("another instance has the lease")
        tick = update.tick
        if tick is not None and tick.id <= self.last:
            if any(each.tick and each.tick.id == tick.id and by == token for by, each in self.log):
                return
            raise LeaseLost("the log holds a higher id")
        self.log.append((token, update))
        if tick is not None:
            self.accepted.append(Publication(self.epoch, update.term, tick, _now()))
        for connection in self.followers:
            connection.deliver(update)


class Connection:
    """One follower's. In order, each item at its own delay; while the line is cut, items wait."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.queue: asyncio.Queue[Update | str | BrokerUnavailable] = asyncio.Queue()
        self._waiting: list[Update | str] = []
        self._due = 0.0
        self.heard_at = _now()  # when a byte came through at last

    def put(self, item: Update | str | BrokerUnavailable) -> None:
        self.queue.put_nowait(item)

    def deliver(self, item: Update | str) -> None:
        loop = asyncio.get_running_loop()
        self._waiting.append(item)
        self._due = max(self._due, loop.time() + self.line.latency)
        loop.call_at(self._due, self.pump, context=OUTSIDE)

    def pump(self) -> None:
        if not self.line.is_cut:
            for item in self._waiting:
                self.put(item)
            self._waiting.clear()


def _now() -> float:
    return asyncio.get_running_loop().time()
