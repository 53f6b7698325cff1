"""What only Kafka does: refusals, a transaction of which nothing is known, and how long a candidate waits."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest
from aiokafka.errors import ProducerFenced

from broker import kafka_server
from broker.kafka_server import KafkaServer
from broker.updates import START, with_tick, without_tick
from btc_price_tracker.broker.kafka import campaign
from btc_price_tracker.broker.kafka.topic import Record, Topic
from btc_price_tracker.broker.opening import open_broker
from btc_price_tracker.broker.options import History, Options, Timing
from btc_price_tracker.errors import BrokerUnavailable, InvalidBrokerUrl, LeaseLost

pytestmark = pytest.mark.proof

OPTIONS = Options("a", History(10_000, 86_400 * 10_000), Timing(lease=60))


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    """A server that wants a password."""
    with kafka_server.running(with_password=True) as server:
        yield server


async def reason(url: str) -> str:
    """Why one can't lead there."""
    broker = open_broker(url, OPTIONS)
    with pytest.raises(BrokerUnavailable) as caught:
        await broker.campaign()
    with pytest.raises(BrokerUnavailable):
        await anext(broker.follow(0))
    await broker.aclose()
    return str(caught.value)


async def test_password_is_sent_and_a_wrong_one_is_not_shown(server: KafkaServer) -> None:
    broker = open_broker(f"kafka://u:p%40ss@127.0.0.1:{server.port}", OPTIONS)
    await (await broker.campaign()).publish(with_tick(START))
    await broker.aclose()
    message = await reason(f"kafka://u:not-this-one@127.0.0.1:{server.port}")
    assert "user and password in BROKER_URL" in message
    assert "not-this-one" not in message


async def test_server_that_is_not_there_is_named() -> None:
    assert "can't be reached; check host, port" in await reason("kafka://127.0.0.1:1")


async def test_name_must_be_fit_for_a_topic() -> None:
    with pytest.raises(InvalidBrokerUrl, match="letters, digits"):
        open_broker("kafka://localhost/a b", OPTIONS)


async def test_term_ends_with_an_unknown_outcome(server: KafkaServer) -> None:
    """The next term of the same instance begins at once and knows what came of it."""
    broker = open_broker(f"kafka://u:p%40ss@127.0.0.1:{server.port}/unknown", OPTIONS)
    term = await broker.campaign()
    await term.publish(with_tick(START))
    server.freeze()
    try:
        with pytest.raises(BrokerUnavailable):
            await term.publish(with_tick(START + 1))
    finally:
        server.thaw()
    with pytest.raises(LeaseLost, match="unknown"):
        await term.publish(with_tick(START + 1))
    assert (await broker.campaign()).last in {START, START + 1}
    await broker.aclose()


async def test_candidate_whose_campaign_failed_does_not_wait_for_another_lease(server: KafkaServer) -> None:
    url = f"kafka://u:p%40ss@127.0.0.1:{server.port}/candidates"
    lease, failed_after = 6, 4
    brokers = [open_broker(url, Options(name, OPTIONS.history, Timing(lease=lease))) for name in "ab"]
    await (await brokers[0].campaign()).publish(with_tick(START))  # the leader's last sign of life
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(brokers[1].campaign(), failed_after)
    await brokers[1].campaign()
    assert lease <= time.monotonic() - began + 1
    assert time.monotonic() - began < lease + failed_after
    for broker in brokers:
        await broker.aclose()


async def test_search_for_the_newest_tick_is_linear(
    server: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many hours without a price must not make a campaign take longer than its lease."""
    monkeypatch.setattr(campaign, "STEP", 20)
    url, offsets, read = f"kafka://u:p%40ss@127.0.0.1:{server.port}/behind", list[int](), Topic.read

    async def counted(*arguments: Any) -> list[Record]:
        records = await read(*arguments)
        offsets.extend(record.offset for record in records)
        return records

    async with aclosing(open_broker(url, OPTIONS)) as broker:
        term = await broker.campaign()
        await term.publish(with_tick(START))
        for number in range(100):
            await term.publish(without_tick(f"no price {number}"))
        await term.resign()
        monkeypatch.setattr(Topic, "read", counted)
        assert (await broker.campaign()).last == START
    assert len(offsets) < 3 * len(set(offsets))


@pytest.mark.parametrize("error", [ProducerFenced, OSError])
def test_futures_that_failed_because_another_leads_are_not_logged(error: type[Exception]) -> None:
    open_broker("kafka://localhost", OPTIONS)
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "never retrieved", (), (error, error(), None))
    assert bool(logging.getLogger("asyncio").filter(record)) is (error is OSError)
