"""Apache Kafka as broker: one topic with one partition, written in transactions.

A record's time is the id of its tick, so the offset at which to resume is found by time. Followers belong to no
consumer group and see only what was committed. The leader is who initialised the transactional id last: its newer epoch
shuts out each one before. TLS to Kafka isn't supported.
"""

import re
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiokafka import AIOKafkaProducer

from btc_price_tracker.broker.address import Address
from btc_price_tracker.broker.kafka.campaign import Campaign, Sighting
from btc_price_tracker.broker.kafka.errors import attempt, hide_fencing
from btc_price_tracker.broker.kafka.follower import Follower
from btc_price_tracker.broker.kafka.term import KafkaTerm
from btc_price_tracker.broker.kafka.topic import Topic, stop_producer
from btc_price_tracker.broker.options import Options
from btc_price_tracker.broker.probes import Probes
from btc_price_tracker.errors import BrokerUnavailable, InvalidBrokerUrl
from btc_price_tracker.price.model import Update

DEFAULT_NAME = "btc-price-tracker"


class KafkaBroker:
    """See Broker."""

    def __init__(self, address: Address, options: Options) -> None:
        self._options = options
        self._topic = Topic(address, address.name or DEFAULT_NAME, options)
        self._owner = f"{options.instance}:{secrets.token_hex(4)}"
        self._probes = Probes(options.timing.probe)
        self._prober: AIOKafkaProducer | None = None
        self._terms: list[KafkaTerm] = []
        self._sighting = Sighting()
        self._seen_term = 0  # the highest number that came with an update: it survives a deleted topic
        self._closed = False

    async def follow(self, after: int) -> AsyncGenerator[Update, None]:
        """See Broker."""
        self._check_open()
        follower = Follower(self._topic, self._options.timing, self._probes)
        async with aclosing(follower.updates(after)) as updates:
            async for update in updates:
                self._seen_term = max(self._seen_term, update.term)
                yield update

    async def campaign(self) -> KafkaTerm:
        """See Broker."""
        self._check_open()
        term = await Campaign(self._topic, self._options, self._owner, self._seen_term, self._sighting).win()
        for former in self._terms:
            await former.end("this instance has begun another term")
        self._terms = [term]
        return term

    async def probe(self) -> None:
        """See Broker."""
        await self._probes.travel(self._send_probe)

    async def aclose(self) -> None:
        """See Broker."""
        self._closed = True
        for term in self._terms:
            await term.end("the broker is closed")
        if self._prober is not None:
            await stop_producer(self._prober)

    async def _send_probe(self, probe: str) -> None:
        self._check_open()
        if self._prober is None:
            self._prober = await self._topic.producer(leading=False)
        async with attempt(self._topic.seconds):
            await self._prober.send_and_wait(self._topic.probes.topic, probe.encode(), partition=0)

    def _check_open(self) -> None:
        if self._closed:
            raise BrokerUnavailable("the broker is closed")


def open_address(address: Address, options: Options) -> KafkaBroker:
    """The broker at an address. Raises InvalidBrokerUrl."""
    if not re.fullmatch("[A-Za-z0-9._-]{0,100}", address.name):
        raise InvalidBrokerUrl(
            "BROKER_URL may name the topic with letters, digits, ., - and _ only: kafka://host:9092/topic"
        )
    hide_fencing()
    return KafkaBroker(address, options)
