"""What only Redis does: refusals, TLS, a full server, its keys."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from broker import proxy, valkey
from broker.service import PATIENT, Service
from broker.updates import START, with_tick
from broker.valkey import PASSWORD, ValkeyServer
from btc_price_tracker.broker.opening import open_broker
from btc_price_tracker.broker.options import History, Options, Timing
from btc_price_tracker.errors import BrokerUnavailable, LeaseLost

TICKS = "{btc-price-tracker}:ticks"


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    """A server with a password; its default user may do everything."""
    with valkey.running("--requirepass", PASSWORD) as server:
        yield server


def url_of(server: ValkeyServer, user: str = "", password: str = PASSWORD, scheme: str = "redis") -> str:
    number = server.new_url().rpartition("/")[2]
    return f"{scheme}://{user}:{quote(password, safe='')}@localhost:{server.port}/{number}"


async def reason(url: str) -> str:
    """Why one can't lead there."""
    broker = open_broker(url, Options("a", History(100, 60), Timing(silence=3)))
    try:
        with pytest.raises(BrokerUnavailable) as caught:
            await broker.campaign()
        with pytest.raises(BrokerUnavailable):
            await anext(broker.follow(0))
    finally:
        await broker.aclose()
    return str(caught.value)


async def test_password_is_sent(server: ValkeyServer) -> None:
    broker = open_broker(url_of(server), Options("a", History(100, 60)))
    assert (await broker.campaign()).number == 1
    await broker.aclose()


async def test_wrong_password_is_named_and_not_shown(server: ValkeyServer) -> None:
    message = await reason(url_of(server, password="not-this-one"))
    assert "refuses the user or the password; correct BROKER_URL" in message
    assert "not-this-one" not in message
    assert "wants a password" in await reason(f"redis://localhost:{server.port}")


async def test_missing_permission_is_named(server: ValkeyServer) -> None:
    with server.client(url_of(server)) as client:
        client.acl_setuser("limited", enabled=True, passwords=["+x"], commands=["+@all"], keys=["other:*"])
    assert "grant it the keys" in await reason(url_of(server, "limited", "x"))


async def test_server_that_is_not_there_is_named() -> None:
    assert "can't be reached; check host and port" in await reason("redis://localhost:1")
    assert "can't be reached" in await reason("redis://-.invalid")


async def test_foreign_key_is_named(server: ValkeyServer) -> None:
    url = url_of(server)
    with server.client(url) as client:
        client.set(TICKS, "not a stream")
    assert "holds something else; delete that key" in await reason(url)


async def test_impossible_id_is_named(server: ValkeyServer) -> None:
    url = url_of(server)
    with server.client(url) as client:
        client.xadd(TICKS, {"x": "y"}, id="18446744073709551615-0")
    broker = open_broker(url, Options("a", History(100, 60)))
    with pytest.raises(BrokerUnavailable, match="which is no time; delete that key"):
        await broker.campaign()
    await broker.aclose()


async def test_full_server_is_named_and_used_again_later() -> None:
    with valkey.running("--maxmemory-policy", "noeviction") as server:
        service = Service(server)
        broker = service.open(timing=Timing(lease=60, probe=5))
        term = await broker.campaign()
        with server.client(service.url) as client:
            client.config_set("maxmemory", "1")
            with pytest.raises(BrokerUnavailable, match="it is full; raise its maxmemory"):
                await term.publish(with_tick(START))
            with pytest.raises(BrokerUnavailable, match="it is full"):
                await broker.probe()
            client.config_set("maxmemory", "0")
        await term.publish(with_tick(START))
        await service.aclose()


async def test_replica_is_named() -> None:
    with valkey.running("--replicaof", "127.0.0.1", "1") as server:
        broker = open_broker(server.new_url(), Options("a", History(100, 60)))
        with pytest.raises(BrokerUnavailable, match="read-only replica; give the URL of the primary"):
            await broker.campaign()
        await broker.aclose()


async def test_tick_behind_a_foreign_entry_ends_the_term(server: ValkeyServer) -> None:
    url = url_of(server)
    broker = open_broker(url, Options("a", History(100, 60), PATIENT))
    term = await broker.campaign()
    with server.client(url) as client:
        client.xadd(TICKS, {"x": "y"}, id=f"{START + 1000}-0")
    with pytest.raises(LeaseLost, match="higher id"):
        await term.publish(with_tick(START))
    await term.resign()
    new = await broker.campaign()
    assert new.last == START + 1000
    await new.publish(with_tick(START + 1001))
    await broker.aclose()


async def test_old_ticks_are_dropped(server: ValkeyServer) -> None:
    url = url_of(server)
    broker = open_broker(url, Options("a", History(10_000, 60), PATIENT))
    term = await broker.campaign()
    for number in range(500):
        await term.publish(with_tick(START + 1000 * number))
    with server.client(url) as client:
        assert 60 <= client.xlen(TICKS) < 200
    await broker.aclose()


async def test_term_numbers_grow_though_the_server_forgot_them(server: ValkeyServer) -> None:
    url = url_of(server)
    broker = open_broker(url, Options("a", History(100, 60), PATIENT))
    for _ in range(3):
        term = await broker.campaign()
        await term.resign()
    term = await broker.campaign()
    await term.publish(with_tick(START))
    follower = broker.follow(0)
    assert (await anext(follower)).term == 4
    await server.forget(url)
    assert (await broker.campaign()).number == 5
    await broker.aclose()


async def test_lease_that_never_expires_is_taken(server: ValkeyServer) -> None:
    url = url_of(server)
    with server.client(url) as client:
        client.set("{btc-price-tracker}:lease", "somebody")
    broker = open_broker(url, Options("a", History(100, 60)))
    async with asyncio.timeout(10):
        await broker.campaign()
    await broker.aclose()


async def test_tls(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with valkey.running() as server:
        async with proxy.running(server.port, certificate) as tls:
            url = f"rediss://localhost:{tls.port}/0"
            assert "TLS failed" in await reason(url)
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
            broker = open_broker(url, Options("a", History(100, 60)))
            await (await broker.campaign()).publish(with_tick(START))
            await broker.aclose()
            assert "can't be reached" in await reason(f"redis://localhost:{tls.port}/0")
        assert "whether its port speaks TLS" in await reason(f"rediss://localhost:{server.port}/0")


async def test_cut_and_silent_connections(server: ValkeyServer) -> None:
    async with proxy.running(server.port) as way:
        url = url_of(server).replace(str(server.port), str(way.port))
        broker = open_broker(url, Options("a", History(100, 60), Timing(silence=2, request=1)))
        term = await broker.campaign()
        for break_it in (way.cut, way.silence):
            await term.publish(with_tick(START))
            follower = broker.follow(0)
            await anext(follower)
            break_it()
            with pytest.raises(BrokerUnavailable):
                async with asyncio.timeout(10):
                    await anext(follower)
        with pytest.raises(BrokerUnavailable, match="no answer in time"):
            await term.publish(with_tick(START))
        way.resume()
        await broker.aclose()
