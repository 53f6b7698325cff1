"""An instance's client of the simulated broker, over a network that delays, loses and cuts."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from btc_price_tracker.broker.lease import keep_lease
from btc_price_tracker.broker.options import Timing
from btc_price_tracker.clock import Clock
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost
from btc_price_tracker.price.model import Update
from simulation.server import OUTSIDE, REPEATED, Connection, Line, Server

T = TypeVar("T")


class SimulatedBroker:
    """One instance's client of it; see Broker."""

    def __init__(self, server: Server, line: Line, name: str, clock: Clock, timing: Timing) -> None:
        self._server, self._line, self._name, self._clock, self._timing = server, line, name, clock, timing
        self._seen_term = 0
        self._connections: list[Connection] = []
        self._probes: dict[int, asyncio.Event] = {}
        self._campaigns = 0

    async def follow(self, after: int) -> AsyncGenerator[Update, None]:
        connection, server = Connection(self._line), self._server

        def connect() -> None:
            held = [update for _, update in server.log if update.tick is not None and update.tick.id > after]
            if server.log and server.log[-1][1].tick is None:
                held.append(server.log[-1][1])
            for update in held:
                connection.deliver(update)
            server.followers.append(connection)

        await self.request(connect)
        self._connections.append(connection)
        try:
            while True:
                item = await self._next(connection)
                if isinstance(item, str):
                    if (arrived := self._probes.get(int(item))) is not None:
                        arrived.set()
                    continue
                self._seen_term = max(self._seen_term, item.term)
                yield item
        finally:
            self._connections.remove(connection)
            if connection in server.followers:
                server.followers.remove(connection)

    async def _next(self, connection: Connection) -> Update | str:
        while True:
            try:
                async with asyncio.timeout(self._timing.silence / 3):
                    item = await connection.queue.get()
            except TimeoutError:
                now = self._clock.monotonic()
                if not self._line.is_cut:
                    connection.heard_at = now
                elif now - connection.heard_at > self._timing.silence:
                    raise BrokerUnavailable("the connection is silent") from None
                continue
            if isinstance(item, BrokerUnavailable):
                raise item
            connection.heard_at = self._clock.monotonic()
            return item

    async def campaign(self) -> "SimulatedTerm":
        while True:
            self._campaigns += 1
            owner, requested = f"{self._name}:{self._campaigns}", self._clock.monotonic()
            ask = partial(self._server.campaign, owner, self._seen_term, self._timing.lease)
            won = await self.request(ask)
            if won is not None:
                return SimulatedTerm(self, won[0], won[1], f"{owner}:{won[0]}", requested)
            await self._clock.sleep(0.5)

    async def probe(self) -> None:
        number, arrived = len(self._probes) + int(self._clock.monotonic() * 1000), asyncio.Event()
        self._probes[number] = arrived

        def send() -> None:
            for connection in self._connections:
                if connection in self._server.followers:
                    connection.deliver(str(number))

        try:
            async with asyncio.timeout(self._timing.probe):
                await self.request(send)
                await arrived.wait()
        except TimeoutError:
            raise BrokerUnavailable("a probe did not come back") from None
        finally:
            del self._probes[number]

    async def aclose(self) -> None:
        return

    async def request(self, action: Callable[[], T]) -> T:
        """Do something at the broker. Raises BrokerUnavailable if no answer comes, and what `action` raises."""
        loop, server, line = asyncio.get_running_loop(), self._server, self._line
        answer: asyncio.Future[T] = loop.create_future()

        def reply(result: T | Exception) -> None:
            if line.is_cut or answer.done() or server.random.random() < line.loss:
                return
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        def arrive() -> None:
            if line.is_cut:
                return
            result: T | Exception
            try:
                result = BrokerUnavailable("connection refused") if server.is_down else action()
            except LeaseLost as error:
                result = error
            loop.call_later(line.latency, reply, result, context=OUTSIDE)

        loop.call_later(line.latency, arrive, context=OUTSIDE)
        if line.repeats is not None:
            loop.call_later(line.latency + line.repeats.uniform(0, REPEATED), arrive, context=OUTSIDE)
        try:
            async with asyncio.timeout(self._timing.request):
                return await answer
        except TimeoutError:
            raise BrokerUnavailable("no answer in time") from None


class SimulatedTerm:
    """See Term."""

    def __init__(self, broker: SimulatedBroker, number: int, last: int, token: str, granted: float) -> None:
        self.number, self.last = number, last
        self._broker, self._token, self._granted = broker, token, granted

    async def publish(self, update: Update) -> None:
        broker = self._broker
        numbered = replace(update, term=self.number)
        await broker.request(lambda: broker._server.publish(self._token, numbered))

    async def hold(self) -> None:
        broker = self._broker
        lease = broker._timing.lease
        await keep_lease(
            lambda: broker.request(lambda: broker._server.renew(self._token, lease)),
            self._granted, broker._timing, broker._clock,
        )  # fmt: skip

    async def resign(self) -> None:
        await self._broker.request(lambda: self._broker._server.resign(self._token))
