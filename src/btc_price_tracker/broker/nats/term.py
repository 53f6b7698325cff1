"""A term in NATS: a chain of messages in the stream.

Each message of a term is appended behind the newest one, which its sender has to know. Another term begins with a
message, too; from then on the server refuses whatever this term sends.
"""

import asyncio
from typing import NamedTuple

from msgspec.structs import replace

from btc_price_tracker.broker.codec import encode
from btc_price_tracker.broker.lease import keep_lease
from btc_price_tracker.broker.nats.connection import SharedConnection
from btc_price_tracker.broker.nats.log import Conflict, Log
from btc_price_tracker.broker.nats.names import FREE, OWNER, ROLLUP, TERM, TICK, Names
from btc_price_tracker.broker.options import Options
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost
from btc_price_tracker.price.model import Update


class Start(NamedTuple):
    """The message with which a term begins."""

    token: str  # the owner of all messages of the term
    sequence: int
    requested: float  # when it was sent, by the monotonic clock


class NatsTerm:
    """See Term."""

    def __init__(
        self,
        number: int,
        last: int,
        start: Start,
        connection: SharedConnection,
        names: Names,
        options: Options,
    ) -> None:
        self.number = number
        self.last = last
        self._newest = 0  # id of the newest tick of this term
        self._token = start.token
        self._sequence = start.sequence  # of the newest message of this term
        self._granted = start.requested
        self._connection = connection
        self._names = names
        self._options = options
        self._appending = asyncio.Lock()

    async def publish(self, update: Update) -> None:
        """See Term."""
        body = encode(replace(update, term=self.number))
        if update.tick is None:
            await self._append(self._names.status, body, ROLLUP)
        else:
            await self._append(self._names.ticks, body, {TICK: str(update.tick.id)}, update.tick.id)

    async def hold(self) -> None:
        """See Term."""
        await keep_lease(self._renew, self._granted, self._options.timing, self._options.clock)

    async def resign(self) -> None:
        """See Term."""
        try:
            await self._append(self._names.lease, b"", {**ROLLUP, TERM: str(self.number), FREE: "yes"})
        except (BrokerUnavailable, LeaseLost):
            return
        self._sequence = 0  # nothing can be behind that

    async def _renew(self) -> None:
        await self._append(self._names.lease, b"", {**ROLLUP, TERM: str(self.number)})

    async def _append(self, subject: str, body: bytes, headers: dict[str, str], tick_id: int = 0) -> None:
        """Append a message behind the newest one of this term; a tick whose id it has appended already, not again."""
        async with self._appending:
            if not self._sequence:
                raise LeaseLost("this instance has given the lease up")
            log = Log(await self._connection.client(), self._names, self._options.timing.request)
            while not tick_id or tick_id != self._newest:
                try:
                    self._sequence = await log.append(
                        subject, body, {**headers, OWNER: self._token}, behind=self._sequence
                    )
                except Conflict:
                    await self._catch_up(log)
                else:
                    self._newest = tick_id or self._newest
                    return

    async def _catch_up(self, log: Log) -> None:
        """Go on behind whatever is in the stream, while the lease is this term's. Raises LeaseLost if it isn't.

        That may be a message of its own whose outcome was unknown, or what others have written there.
        """
        _, newest = await log.bounds()
        lease, tick = await log.last(self._names.lease), await log.last(self._names.ticks)
        if lease is None or lease.owner != self._token:
            raise LeaseLost("another instance leads, or the stream was deleted")
        if tick is not None and tick.owner == self._token:
            self._newest = tick.tick_id or self._newest
        self._sequence = newest
