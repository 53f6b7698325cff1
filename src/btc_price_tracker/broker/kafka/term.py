"""A term in Kafka: the epoch of a transactional producer. A newer epoch shuts it out."""

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced
from msgspec.structs import replace

from btc_price_tracker.broker.codec import encode
from btc_price_tracker.broker.kafka.errors import attempt
from btc_price_tracker.broker.kafka.topic import FREE, LEASE, STATUS, TICK, Topic, stop_producer
from btc_price_tracker.broker.lease import keep_lease
from btc_price_tracker.broker.options import Options
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost
from btc_price_tracker.price.model import Update


class KafkaTerm:
    """See Term. It ends with the first failure: only a new term can tell what came of the transaction."""

    def __init__(
        self,
        number: int,
        last: int,
        *,
        owner: str,
        granted: float,
        producer: AIOKafkaProducer,
        topic: Topic,
        options: Options,
    ) -> None:
        """`granted` is when the producer asked for its epoch, by the monotonic clock."""
        self.number = number
        self.last = last
        self._newest = last  # time of the newest record, ms: the id of a tick
        self._published = 0  # id of the newest tick of this term
        self._owner = owner
        self._granted = granted
        self._producer = producer
        self._topic = topic
        self._options = options
        self._over: str | None = None  # why
        self._appending = asyncio.Lock()

    async def publish(self, update: Update) -> None:
        """See Term."""
        body = encode(replace(update, term=self.number))
        if update.tick is None:
            await self.append(STATUS, body)
        else:
            await self.append(TICK, body, update.tick.id)

    async def hold(self) -> None:
        """See Term."""
        await keep_lease(self._renew, self._granted, self._options.timing, self._options.clock)

    async def resign(self) -> None:
        """See Term."""
        with suppress(BrokerUnavailable, LeaseLost):
            await self.append(FREE, b"")
        await self.end("this instance has given the lease up")

    async def end(self, reason: str) -> None:
        """Publish nothing more, and disconnect."""
        self._over = self._over or reason
        await stop_producer(self._producer)

    async def append(self, key: bytes, body: bytes, tick_id: int | None = None) -> None:
        """Append a record in a transaction of its own; a tick that this term has appended already, not again."""
        async with self._appending:
            if self._over is not None:
                raise LeaseLost(self._over)
            if tick_id is not None and tick_id == self._published:
                return
            self._over = "the outcome of the last transaction is unknown"
            try:
                async with attempt(self._topic.seconds):
                    await self._transact(key, body, tick_id)
            except ProducerFenced as error:
                self._over = "another instance leads"
                raise LeaseLost(self._over) from error
            self._over = None
            self._published = self._published if tick_id is None else tick_id

    async def _transact(self, key: bytes, body: bytes, tick_id: int | None) -> None:
        time = tick_id or self._newest + 1  # so that those who look for ticks after the newest find it, too
        headers = [("owner", self._owner.encode())]
        if tick_id is not None:
            headers.append(("tick", str(tick_id).encode()))
        await self._producer.begin_transaction()
        await self._producer.send_and_wait(
            self._topic.name, body, key, partition=0, timestamp_ms=time, headers=headers
        )
        await self._producer.commit_transaction()
        self._newest = tick_id or self._newest

    async def _renew(self) -> None:
        await self.append(LEASE, b"")
