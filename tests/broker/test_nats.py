"""What only NATS does: refusals, TLS, a full server, lost live messages, unknown outcomes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest

from broker import nats_server
from broker.nats_server import NatsServer
from broker.service import PATIENT, QUICK, Service
from broker.updates import START, ids, sequence, with_tick, without_tick
from btc_price_tracker.broker import Term
from btc_price_tracker.broker.nats import NatsBroker
from btc_price_tracker.broker.nats.log import Log
from btc_price_tracker.broker.opening import open_broker
from btc_price_tracker.broker.options import History, Options, Timing
from btc_price_tracker.errors import BrokerUnavailable, InvalidBrokerUrl

LIMITED = """authorization { users: [
  { user: "u", password: "p@ss" }, { user: "few", password: "x", permissions: { publish: "none" } }
] }"""


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server.running() as server:
        yield server


async def reason(url: str) -> str:
    """Why one can't lead there."""
    broker = open_broker(url, Options("a", History(100, 60), Timing(request=2)))
    try:
        with pytest.raises(BrokerUnavailable) as caught:
            await broker.campaign()
        with pytest.raises(BrokerUnavailable):
            await anext(broker.follow(0))
    finally:
        await broker.aclose()
    return str(caught.value)


async def publish_many(term: Term) -> None:
    for number in range(200):
        await term.publish(with_tick(START + number))


async def test_refusals_are_named_and_show_no_password() -> None:
    with nats_server.running(LIMITED) as server:
        url = f"localhost:{server.port}"
        message = await reason(f"nats://u:not-this-one@{url}")
        assert "refuses the user, password or token; correct BROKER_URL" in message
        assert "not-this-one" not in message
        assert "correct BROKER_URL" in await reason(f"nats://{url}")
        assert "no answer in time" in await reason(f"nats://few:x@{url}")  # NATS tells a publisher nothing
        broker = open_broker(f"nats://u:p%40ss@{url}", Options("a", History(100, 60)))
        await (await broker.campaign()).publish(with_tick(START))
        await broker.aclose()


async def test_token_is_sent() -> None:
    with nats_server.running("authorization { token: secret }") as server:
        broker = open_broker(f"nats://secret@localhost:{server.port}", Options("a", History(100, 60)))
        await broker.campaign()
        await broker.aclose()


async def test_server_that_is_not_there_is_named() -> None:
    assert "can't be reached; check host and port" in await reason("nats://localhost:1")


async def test_second_host_is_used(server: NatsServer) -> None:
    broker = open_broker(f"nats://localhost:1,127.0.0.1:{server.port}/second", Options("a", History(100, 60)))
    await broker.campaign()
    await broker.aclose()


async def test_server_without_jetstream_is_named() -> None:
    with nats_server.running("# no jetstream") as server:
        assert "start it with -js" in await reason(server.new_url())


async def test_name_must_be_fit_for_a_stream() -> None:
    with pytest.raises(InvalidBrokerUrl, match="letters, digits"):
        open_broker("nats://localhost/a.b", Options("a", History(100, 60)))


async def test_full_server_is_named() -> None:
    config = 'jetstream { store_dir: "FOLDER/data", max_file_store: 20000 }'
    with nats_server.running(config) as server:
        service = Service(server)
        term = await service.open().campaign()
        with pytest.raises(BrokerUnavailable, match="JetStream is full; raise its limits"):
            await publish_many(term)
        await service.aclose()


async def test_tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    config = f'tls {{ cert_file: "{certificate[0]}", key_file: "{certificate[1]}" }}'
    with nats_server.running(config) as server:
        url = f"tls://localhost:{server.port}"
        assert "TLS failed" in await reason(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        broker = open_broker(url, Options("a", History(100, 60)))
        await (await broker.campaign()).publish(with_tick(START))
        await broker.aclose()


async def test_limits_of_the_stream_follow_the_settings(server: NatsServer) -> None:
    url = server.new_url()
    for ticks in (100, 200):
        broker = open_broker(url, Options("a", History(ticks, 60), QUICK))
        assert isinstance(broker, NatsBroker)
        term = await broker.campaign()
        await term.resign()
        await broker.aclose()
        if ticks == 100:
            await set_max_bytes(url, 10_000_000)
    streams = server.ask("jsz?streams=1&config=1")["account_details"][0]["stream_detail"]
    (config,) = (stream["config"] for stream in streams if stream["name"] == url.rpartition("/")[2])
    assert (config["max_msgs"], config["max_bytes"]) == (202, 10_000_000)


async def set_max_bytes(url: str, size: int) -> None:
    """Change a setting of the stream that isn't ours, as an operator does. (A single server can't have replicas.)"""
    client = await nats.connect(url.rpartition("/")[0])
    stream = client.jetstream()
    config = (await stream.stream_info(url.rpartition("/")[2])).config
    await stream.update_stream(config.evolve(max_bytes=size))
    await client.close()


async def test_lost_live_messages_are_read_from_the_stream(server: NatsServer) -> None:
    broker = open_broker(server.new_url(), Options("a", History(100, 60), PATIENT))
    assert isinstance(broker, NatsBroker)
    term, sent = await broker.campaign(), sequence(6)
    followed = broker.follow(0)
    first = asyncio.create_task(anext(followed))
    await broker.probe()
    await term.publish(sent[0])
    received = [await first]
    for update in sent[1:]:
        await term.publish(update)
    (follower,) = broker._followers
    while follower._queue.qsize() < 5:
        await asyncio.sleep(0.01)
    for _ in range(3):
        follower._queue.get_nowait()
    received += [await anext(followed) for _ in range(5)]
    assert ids(received) == ids(sent)
    await followed.aclose()
    await broker.aclose()


@pytest.mark.parametrize("update", [with_tick(START + 1), without_tick("no price")])
async def test_lost_acknowledgement_is_no_conflict(
    update: object, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has stored the message, and its answer is lost."""
    broker = open_broker(server.new_url(), Options("a", History(100, 60), PATIENT))
    term = await broker.campaign()
    await term.publish(with_tick(START))
    append = Log.append

    async def lose_answer(self: Log, *args: object, **kwargs: object) -> int:
        monkeypatch.setattr(Log, "append", append)
        await append(self, *args, **kwargs)  # type: ignore[arg-type]
        raise BrokerUnavailable("lost")

    monkeypatch.setattr(Log, "append", lose_answer)
    with pytest.raises(BrokerUnavailable, match="lost"):
        await term.publish(update)  # type: ignore[arg-type]
    await term.publish(update)  # type: ignore[arg-type]
    await term.publish(with_tick(START + 2))
    followed = broker.follow(START)
    wanted = [START + 1, START + 2] if update == with_tick(START + 1) else [START + 2]
    assert ids([await anext(followed) for _ in wanted]) == wanted
    await followed.aclose()
    await broker.aclose()


async def test_newest_id_is_found_behind_garbage(server: NatsServer) -> None:
    url = server.new_url()
    first = open_broker(url, Options("a", History(1000, 60), QUICK))
    term = await first.campaign()
    for update in sequence(300):
        await term.publish(update)
    for number in range(10):
        await server.write_garbage(url, START + number)
    second = open_broker(url, Options("b", History(1000, 60), QUICK))
    assert (await second.campaign()).last == START + 2990
    followed = second.follow(START + 1000)
    assert ids([await anext(followed)]) == [START + 1010]
    await followed.aclose()
    for broker in (first, second):
        await broker.aclose()
