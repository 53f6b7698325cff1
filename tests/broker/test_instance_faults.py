"""A whole instance at a broker that refuses, is full, was emptied or filled with garbage; and a wrong clock."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker import proxy, valkey
from broker.instance import ShiftedClock, exchanges, instance, next_price, until
from broker.valkey import ValkeyServer
from btc_price_tracker.broker.alone import ALONE
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.price.model import Status

AN_HOUR = 3_600_000  # ms


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with valkey.running("--maxmemory-policy", "noeviction") as server:
        yield server


async def test_wrong_password_is_named_and_the_instance_polls_alone_until_it_is_right() -> None:
    with valkey.running("--requirepass", "right") as server, capture_logs() as logs:
        url = f"redis://:not-this-one@127.0.0.1:{server.port}/0"
        async with exchanges() as urls, instance(url, urls) as service:
            await next_price(service)
            assert service.hub.status is Status.DEGRADED
            assert service.hub.reason.startswith(ALONE)
            assert "refuses the user or the password; correct BROKER_URL" in str(service.link.fault)
            with server.client(f"redis://:right@127.0.0.1:{server.port}/0") as client:
                client.config_set("requirepass", "not-this-one")
            await until(lambda: service.link.fault is None and service.hub.status is Status.OK)
    assert any(each["event"] == "broker failed" for each in logs)
    assert "not-this-one" not in str(logs)


async def test_unknown_ca_is_named_and_the_instance_polls_alone(
    server: ValkeyServer, certificate: tuple[Path, Path]
) -> None:
    async with (
        exchanges() as urls,
        proxy.running(server.port, certificate) as tls,
        instance(f"rediss://localhost:{tls.port}/0", urls) as service,
    ):
        await next_price(service)
        assert "TLS failed" in str(service.link.fault)
        assert "SSL_CERT_FILE" in str(service.link.fault)
        assert service.hub.reason.startswith(ALONE)


async def test_full_broker_is_named_and_prices_go_on_until_there_is_room(server: ValkeyServer) -> None:
    url = server.new_url()
    async with exchanges() as urls, instance(url, urls) as service:
        await until(lambda: service.hub.status is Status.OK)
        with server.client(url) as client:
            client.config_set("maxmemory", "1")
            await until(lambda: service.hub.reason.startswith(ALONE))
            assert "it is full; raise its maxmemory" in str(service.link.fault)
            alone = await next_price(service)
            client.config_set("maxmemory", "0")
        await until(lambda: service.link.fault is None and service.hub.status is Status.OK)
        assert await next_price(service) > alone
        stored = [tick.id for tick in await service.store.page(0, None, 1000)]
        assert alone in stored


async def test_instances_go_on_after_the_stream_was_deleted_or_filled_with_garbage(
    server: ValkeyServer,
) -> None:
    url = server.new_url()
    async with exchanges() as urls, instance(url, urls) as leader:
        await until(lambda: leader.hub.status is Status.OK)
        async with instance(url, urls) as follower:
            await server.forget(url)
            last = await next_price(follower)
            await server.write_garbage(url, follower.hub.newest + 1)
            for service in (follower, leader):
                assert await next_price(service) > last
            await until(lambda: follower.hub.newest == leader.hub.newest)
            await until(lambda: follower.link.fault is None is leader.link.fault)


async def test_clock_an_hour_ahead_neither_leads_nor_dates_a_price(server: ValkeyServer) -> None:
    url = server.new_url()
    async with exchanges() as urls, instance(url, urls, ShiftedClock(AN_HOUR)) as wrong:
        await until(lambda: "clock of this machine" in wrong.hub.reason)
        async with instance(url, urls) as right:
            assert await next_price(right) < SystemClock().now() + 1000
            await until(lambda: wrong.hub.newest == right.hub.newest, 5)
            await asyncio.sleep(1.5)
            assert right.hub.status is Status.OK
