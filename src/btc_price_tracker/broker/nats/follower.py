"""Reading updates from NATS: the history from the stream, then what the server repeats on the live subjects."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from nats.aio.msg import Msg

from btc_price_tracker.broker.codec import Inbox
from btc_price_tracker.broker.nats.connection import Connector, disconnect
from btc_price_tracker.broker.nats.errors import attempt
from btc_price_tracker.broker.nats.log import Entry, Log, entry_of, number
from btc_price_tracker.broker.nats.names import PREVIOUS, Names
from btc_price_tracker.broker.options import History, Timing
from btc_price_tracker.broker.probes import Probes
from btc_price_tracker.errors import BrokerUnavailable
from btc_price_tracker.price.model import Update

WAITING = 1000  # live messages taken from the connection before they are used


class Follower:
    """One reader, with a connection of its own."""

    def __init__(
        self, connector: Connector, names: Names, probe_subject: str, timing: Timing, probes: Probes
    ) -> None:
        self.is_subscribed = False  # to the live subjects
        self._connector = connector
        self._names = names
        self._probe_subject = probe_subject
        self._timing = timing
        self._probes = probes
        self._inbox = Inbox()
        self._queue: asyncio.Queue[Msg | None] = asyncio.Queue(WAITING)  # None: the connection has ended
        self._tick = 0  # sequence of the newest tick that was read
        self._status = 0  # the same of updates without one
        self._live = 0  # sequence of the newest message that came live
        self._newest = 0  # id of the newest tick

    async def updates(
        self, after: int, history: History, subscribed: asyncio.Event
    ) -> AsyncGenerator[Update, None]:
        """See Broker.follow. Sets `subscribed` once the live subjects are."""
        client = await self._connector.connect(self.stop)
        log = Log(client, self._names, self._timing.request)
        try:
            await log.ensure(history)
            async with attempt(self._timing.request):
                await client.subscribe(f"{self._names.live}.>", cb=self._queue.put)
                await client.subscribe(self._probe_subject, cb=self._queue.put)
            # Once this is answered, the server has the subscriptions; the PING of the client's flush overtakes them.
            await log.bounds()
            self.is_subscribed = True
            subscribed.set()
            self._newest = after
            async for entry in self._held(log, after):
                if (update := self._read(entry)) is not None:
                    yield update
            while True:
                async for entry in self._received(log, await self._next(log)):
                    if (update := self._read(entry)) is not None:
                        yield update
        finally:
            await disconnect(client)

    async def stop(self) -> None:
        """End with what came so far: the connection has ended."""
        with suppress(asyncio.QueueEmpty):
            while self._queue.full():
                self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def _held(self, log: Log, after: int) -> AsyncGenerator[Entry, None]:
        """The history, then the newest update without a tick, if it is newer."""
        status = await log.last(
            self._names.status
        )  # first, so that all ticks before it are in what is read next
        async for entry in log.ticks(await _position(log, after)):
            yield entry
        newest = await log.last(self._names.ticks)
        if status is not None and (newest is None or status.sequence > newest.sequence):
            yield status

    async def _received(self, log: Log, message: Msg) -> AsyncGenerator[Entry, None]:
        """What a live message brings: nothing new, its own entry, or more where some before it were lost."""
        if message.subject == self._probe_subject:
            self._probes.received(message.data.decode(errors="replace"))
            return
        entry = entry_of(message)
        if 0 < entry.sequence <= self._live:
            raise BrokerUnavailable("nats: the stream was deleted and made anew")
        self._live = entry.sequence or self._live
        if entry.subject == self._names.lease:
            return
        if entry.subject == self._names.ticks and (number(entry.headers, PREVIOUS) or 0) > self._tick:
            async for missed in log.ticks(self._tick + 1):
                yield missed
        elif entry.sequence > max(self._tick, self._status) or not entry.sequence:
            yield entry

    def _read(self, entry: Entry) -> Update | None:
        """The update in an entry, noted as read."""
        is_status = entry.subject == self._names.status
        if is_status:
            self._status = entry.sequence
        else:
            self._tick = max(self._tick, entry.sequence)
            if entry.tick_id is not None and entry.tick_id <= self._newest:
                return None
        update = self._inbox.read(entry.body, str(entry.sequence), None if is_status else entry.tick_id or 0)
        if update is not None and update.tick is not None:
            self._newest = update.tick.id
        return update

    async def _next(self, log: Log) -> Msg:
        """The next live message; a ping goes to the server when none comes for long."""
        while True:
            message: Msg | None = None
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.silence / 2):
                    message = await self._queue.get()
                    if message is None:
                        raise BrokerUnavailable("nats: the connection has ended")
                    return message
            async with attempt(self._timing.silence / 2):
                await log.client.flush(self._timing.silence)  # type: ignore[arg-type] # any number does


async def _position(log: Log, after: int) -> int:
    """The sequence at or behind which the ticks after an id begin. Their ids grow with their sequences."""
    newest = await log.last(log.names.ticks)
    if newest is None or (newest.tick_id is not None and newest.tick_id <= after):
        return newest.sequence + 1 if newest else 1
    low, high = (await log.bounds())[0], newest.sequence
    while after and low < high:
        middle = (low + high) // 2
        entry = await _tick_from(log, middle, high)
        if entry is None or (entry.tick_id or 0) > after:
            high = middle
        else:
            low = entry.sequence + 1
    return low


async def _tick_from(log: Log, sequence: int, high: int) -> Entry | None:
    """The first tick in a part of the stream, past anything else that was written there."""
    while sequence <= high:
        entry = await log.next(sequence, log.names.ticks)
        if entry is None or entry.tick_id is not None:
            return entry
        sequence = entry.sequence + 1
    return None
