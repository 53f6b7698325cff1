"""The topic with one partition, as a log: what its records are, and the clients that read and write it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from btc_price_tracker.broker.address import Address
from btc_price_tracker.broker.cancellation import finish
from btc_price_tracker.broker.kafka.errors import attempt
from btc_price_tracker.broker.options import Options

TICK, STATUS, LEASE, FREE = b"tick", b"status", b"lease", b"free"  # keys of records
TYPICAL = 2048  # bytes of an update, with what Kafka adds
REPLICAS = 3  # of a new topic, as far as there are brokers
PROBES_KEPT = 60_000  # ms
STOPPING = 2.0  # seconds for a client to disconnect
_SMALLEST_SEGMENT = 1 << 20  # bytes: Kafka drops whole segments, and allows none smaller
_EXISTS = 36  # error code: the topic is there already


class Record(NamedTuple):
    """A record of the topic; `tick_id` and `owner` are those of its headers, where it has them."""

    offset: int
    key: bytes | None
    body: bytes | None
    tick_id: int | None
    owner: str


class Topic:
    """Makes the clients for one topic. Every method may raise BrokerUnavailable."""

    def __init__(self, address: Address, name: str, options: Options) -> None:
        self.name = name
        self.partition = TopicPartition(name, 0)
        self.probes = TopicPartition(f"{name}.probes", 0)
        self.seconds = options.timing.request
        self._history = options.history
        self._lease = options.timing.lease
        hosts = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts)
        self._client: dict[str, Any] = {
            "bootstrap_servers": list(hosts),
            "request_timeout_ms": round(self.seconds * 1000),
            "retry_backoff_ms": 20,
        }
        if address.user is not None:
            self._client |= {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "PLAIN",
                "sasl_plain_username": address.user,
                "sasl_plain_password": address.password or "",
            }

    async def ensure(self) -> None:
        """Create the topic and that of the probes, unless they are there."""
        size = self._history.ticks * TYPICAL
        limits = {"retention.ms": str(round(self._history.seconds * 1000)), "retention.bytes": str(size)}
        # Record times are ids of ticks, and those may be ahead of Kafka's clock.
        limits["message.timestamp.after.max.ms"] = str(2**63 - 1)
        limits["segment.bytes"] = str(max(size // 10, _SMALLEST_SEGMENT))
        admin = AIOKafkaAdminClient(**self._client)
        try:
            async with attempt(self.seconds):
                await admin.start()
                replicas = min(len((await admin.describe_cluster())["brokers"]), REPLICAS)
                answer = await admin.create_topics(
                    [
                        NewTopic(self.name, 1, replicas, topic_configs=limits),
                        NewTopic(
                            self.probes.topic, 1, replicas, topic_configs={"retention.ms": str(PROBES_KEPT)}
                        ),
                    ]
                )
                for _, code, *_ in answer.topic_errors:
                    if code not in {0, _EXISTS}:
                        raise for_code(code)
        finally:
            await finish(admin.close(), STOPPING)

    @asynccontextmanager
    async def consumer(self, *more: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer without a group, assigned to the topic; it sees only what was committed."""
        consumer = AIOKafkaConsumer(
            **self._client,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=500,
        )
        try:
            async with attempt(self.seconds):
                await consumer.start()
            consumer.assign([self.partition, *more])
            yield consumer
        finally:
            await finish(consumer.stop(), STOPPING)

    async def producer(self, *, leading: bool) -> AIOKafkaProducer:
        """A producer; a `leading` one shuts out, by its newer epoch, each leading one before."""
        leader = {"transactional_id": self.name, "transaction_timeout_ms": round(self._lease * 2000)}
        producer = AIOKafkaProducer(**self._client, **(leader if leading else {}))
        try:
            async with attempt(self.seconds):
                await producer.start()
        except BaseException:
            await finish(producer.stop(), STOPPING)
            raise
        return producer

    async def bounds(self, consumer: AIOKafkaConsumer) -> tuple[int, int]:
        """The offsets of the oldest record and behind the newest committed one."""
        async with attempt(self.seconds):
            oldest = await consumer.beginning_offsets([self.partition])
            newest = await consumer.end_offsets([self.partition])
        return oldest[self.partition], newest[self.partition]

    async def position(self, consumer: AIOKafkaConsumer) -> int:
        """The offset that it reads next."""
        async with attempt(self.seconds):
            position: int = await consumer.position(self.partition)
        return position

    async def read(self, consumer: AIOKafkaConsumer, seconds: float) -> list[Record]:
        """The next records, after at most so many seconds; may be none."""
        async with attempt(seconds + self.seconds):
            batches = await consumer.getmany(self.partition, timeout_ms=max(round(seconds * 1000), 0))
        return [record_of(message) for message in batches.get(self.partition, [])]


def record_of(message: Any) -> Record:
    """The record in what the consumer got."""
    headers = {name: value or b"" for name, value in message.headers}  # a value may be null
    tick = headers.get("tick", b"")
    tick_id = int(tick) if tick.isdigit() and len(tick) < 20 else None
    owner = headers.get("owner", b"").decode(errors="replace")
    return Record(message.offset, message.key, message.value, tick_id, owner)


async def stop_producer(producer: AIOKafkaProducer) -> None:
    """Disconnect a producer, whatever state it is in."""
    if not await finish(producer.stop(), STOPPING):  # it waits for a transaction that comes to no end
        await finish(producer._sender.close(), STOPPING)  # noqa: SLF001 - nothing else ends its task
        await finish(producer.client.close(), STOPPING)
