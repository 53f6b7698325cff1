"""Waiting for the lease in Kafka: the leader's records are its signs of life."""

import random
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import ProducerFenced

from btc_price_tracker.broker.kafka.term import KafkaTerm
from btc_price_tracker.broker.kafka.topic import FREE, LEASE, Record, Topic, stop_producer
from btc_price_tracker.broker.options import Options
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost

TAIL = 100  # offsets before the end that are read to learn who leads
TURN = 0.1, 0.5  # seconds, between which a candidate waits for others
STEP = 500  # offsets that are read at first to find the newest tick


@dataclass(slots=True)
class Sighting:
    """The last sign of life of a leader. It outlasts a campaign that fails, so that the next one waits less."""

    offset: int = -1
    at: float = 0.0  # by the monotonic clock

    def note(self, offset: int, now: float) -> None:
        """A leader's record was read; once more, it is not a new sign."""
        if offset != self.offset:  # a topic that was deleted and made anew begins with lower ones
            self.offset, self.at = offset, now


class Campaign:
    """One candidate, with a consumer of its own."""

    def __init__(
        self, topic: Topic, options: Options, owner: str, seen_term: int, sighting: Sighting
    ) -> None:
        self._topic = topic
        self._options = options
        self._owner = owner
        self._seen_term = seen_term
        self._sighting = sighting
        self._latest: Record | None = None  # the newest record of a leader

    async def win(self) -> KafkaTerm:
        """Begin a term once the lease was given up, or no leader wrote anything for its duration."""
        await self._topic.ensure()
        async with self._topic.consumer() as consumer:
            oldest, end = await self._topic.bounds(consumer)
            consumer.seek(self._topic.partition, max(oldest, end - TAIL))
            self._note(await self._read_to(consumer, end))
            while True:
                if not (self._is_free() and await self._has_turn(consumer)):
                    await self._wait(consumer)
                try:
                    return await self._begin(consumer)
                except (ProducerFenced, LeaseLost):
                    self._sighting.at = self._options.clock.monotonic()  # by another candidate, which lives
                await self._wait(consumer)

    def _is_free(self) -> bool:
        """Whether no one leads: nothing was ever written, the lease was given up, or it was this instance's own."""
        return self._latest is None or self._latest.key == FREE or self._latest.owner == self._owner

    async def _wait(self, consumer: AIOKafkaConsumer) -> None:
        """Return when the lease is given up, or when no leader has written for its duration."""
        while True:
            heard = self._note(await self._topic.read(consumer, self._left()))
            is_over = self._is_free() if heard else self._left() <= 0
            if is_over and await self._has_turn(consumer):
                return

    def _left(self) -> float:
        """Seconds until the lease of whoever was heard last has expired."""
        return self._sighting.at + self._options.timing.lease - self._options.clock.monotonic()

    async def _has_turn(self, consumer: AIOKafkaConsumer) -> bool:
        """Whether no other candidate begins a term within a random moment: they would shut one another out.

        One that began a moment ago shows now at the latest: a commit is complete before consumers see it.
        """
        await self._options.clock.sleep(random.uniform(*TURN))  # nosec B311 # jitter
        return not self._note(await self._topic.read(consumer, 0))

    async def _begin(self, consumer: AIOKafkaConsumer) -> KafkaTerm:
        """Shut out the leader before and begin a term.

        Another candidate that began one a moment ago is shut out already, too: nobody would lead if this one gave way.
        """
        requested = self._options.clock.monotonic()
        producer = await self._topic.producer(leading=True)
        try:
            oldest, end = await self._topic.bounds(consumer)
            last = await self._newest_tick(consumer, oldest, end)
            number = max(end, self._seen_term) + 1
            term = KafkaTerm(
                number,
                last,
                owner=self._owner,
                granted=requested,
                producer=producer,
                topic=self._topic,
                options=self._options,
            )
            await term.append(LEASE, b"")
        except BaseException:
            await stop_producer(producer)
            raise
        return term

    async def _read_to(self, consumer: AIOKafkaConsumer, end: int) -> list[Record]:
        """The records before an offset."""
        clock, records = self._options.clock, list[Record]()
        deadline = clock.monotonic() + self._options.timing.request
        while await self._topic.position(consumer) < end:
            records += await self._topic.read(consumer, 0.2)
            if clock.monotonic() > deadline and not records:
                raise BrokerUnavailable("kafka: no answer in time (reading the topic)")
        return records

    def _note(self, records: list[Record]) -> bool:
        """Whether there is something of a leader in these records."""
        of_leaders = [record for record in records if record.owner]
        if of_leaders:
            self._latest = of_leaders[-1]
            self._sighting.note(self._latest.offset, self._options.clock.monotonic())
        return bool(of_leaders)

    async def _newest_tick(self, consumer: AIOKafkaConsumer, oldest: int, end: int) -> int:
        """The id of the newest tick; 0 without one.

        In windows that double, since reading one also brings in what follows it: hours without a tick must not make a
        campaign longer than its lease.
        """
        start, step = end, STEP
        while start > oldest:
            stop, start = start, max(start - step, oldest)
            consumer.seek(self._topic.partition, start)
            records = await self._read_to(consumer, stop)
            if found := [record.tick_id for record in records if record.tick_id is not None]:
                return max(found)
            step *= 2
        return 0
