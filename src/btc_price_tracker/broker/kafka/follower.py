"""Reading updates from Kafka: from the offset that a time has, then on and on."""

from collections.abc import AsyncGenerator

from aiokafka import AIOKafkaConsumer

from btc_price_tracker.broker.codec import Inbox
from btc_price_tracker.broker.kafka.errors import attempt
from btc_price_tracker.broker.kafka.topic import FREE, LEASE, STATUS, Record, Topic, record_of
from btc_price_tracker.broker.options import Timing
from btc_price_tracker.broker.probes import Probes
from btc_price_tracker.price.model import Update


class Follower:
    """One reader, with a connection of its own."""

    def __init__(self, topic: Topic, timing: Timing, probes: Probes) -> None:
        self._topic = topic
        self._timing = timing
        self._probes = probes
        self._inbox = Inbox()
        self._newest = 0  # id of the newest tick that was read

    async def updates(self, after: int) -> AsyncGenerator[Update, None]:
        """See Broker.follow."""
        self._newest = after
        await self._topic.ensure()
        async with self._topic.consumer(self._topic.probes) as consumer:
            end = await self._seek(consumer, after)
            status: Record | None = None  # the newest update without a tick, if no tick has followed it
            while await self._topic.position(consumer) < end:
                for record in await self._read(consumer):
                    status = (
                        record if record.key == STATUS else status if record.key in {LEASE, FREE} else None
                    )
                    if record.key != STATUS and (update := self._update(record)) is not None:
                        yield update
            if status is not None and (update := self._update(status)) is not None:
                yield update
            while True:
                for record in await self._read(consumer):
                    if (update := self._update(record)) is not None:
                        yield update

    async def _seek(self, consumer: AIOKafkaConsumer, after: int) -> int:
        """Go to the first record that may be a tick after an id; returns the offset at which live ones begin."""
        _, end = await self._topic.bounds(consumer)
        async with attempt(self._topic.seconds):
            found = (await consumer.offsets_for_times({self._topic.partition: after + 1}))[
                self._topic.partition
            ]
            probes = await consumer.end_offsets([self._topic.probes])
        consumer.seek(self._topic.partition, found.offset if found is not None else end)
        consumer.seek(self._topic.probes, max(probes[self._topic.probes] - 1, 0))
        return end

    async def _read(self, consumer: AIOKafkaConsumer) -> list[Record]:
        """The next records of the topic; probes are noted. Asks for a sign of life when none comes for long."""
        async with attempt(self._timing.silence):
            batches = await consumer.getmany(timeout_ms=round(self._timing.silence * 500))
        if not batches:
            async with attempt(self._timing.silence / 2):
                await consumer.end_offsets([self._topic.partition])
        for message in batches.get(self._topic.probes, []):
            self._probes.received((message.value or b"").decode(errors="replace"))
        return [record_of(message) for message in batches.get(self._topic.partition, [])]

    def _update(self, record: Record) -> Update | None:
        if record.key in {LEASE, FREE} or (record.tick_id is not None and record.tick_id <= self._newest):
            return None
        tick_id = None if record.key == STATUS else record.tick_id or 0
        update = self._inbox.read(record.body, str(record.offset), tick_id)
        if update is not None and update.tick is not None:
            self._newest = update.tick.id
        return update
