"""Every request takes one slot and gives it back, however its response ends."""

import asyncio
import random
import socket
import struct
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.testing import ManualClock
from btc_price_tracker.web.address.groups import group_of
from btc_price_tracker.web.limits import SLOT, Admission, Limits, Slot, StreamLimits
from btc_price_tracker.web.problems import Problem
from fanout.recorder import Recorder
from live import Client, Live, live


@pytest.fixture
def limits() -> Limits:
    return new_limits()


def new_limits(max_streams: int = 0) -> Limits:
    return Limits(Hub(Ring(10), ManualClock(), heartbeat=15), StreamLimits(max_streams))


async def run(app: ASGIApp, limits: Limits) -> Slot:
    """One request whose response `app` is; returns its slot."""
    scope: Scope = {"type": "http"}

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(_: object) -> None: ...

    try:
        await Admission(app, limits)(scope, receive, send)
    finally:
        assert isinstance(scope[SLOT], Slot)
    slot: Slot = scope[SLOT]
    return slot


async def returns(_: Scope, __: Receive, ___: Send) -> None: ...


async def raises(_: Scope, __: Receive, ___: Send) -> None:
    raise RuntimeError


async def is_cancelled(_: Scope, __: Receive, ___: Send) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("app", [returns, raises, is_cancelled])
@pytest.mark.parametrize("streams", [False, True])
async def test_slot_is_released_when_the_response_ends(
    limits: Limits, app: ASGIApp, *, streams: bool
) -> None:
    counts: list[tuple[int, int]] = []

    async def response(scope: Scope, receive: Receive, send: Send) -> None:
        if streams:
            scope[SLOT].admit_stream(browser=False)
        counts.append((limits.requests, limits.streams))
        await app(scope, receive, send)

    await asyncio.gather(run(response, limits), return_exceptions=True)
    assert counts == [(1, int(streams))]
    assert (limits.requests, limits.streams) == (0, 0)


async def test_handed_over_slot_is_released_by_the_hub(limits: Limits) -> None:
    hub, stream = Hub(Ring(10), ManualClock(), heartbeat=15), Recorder()

    async def detaches(scope: Scope, _: Receive, __: Send) -> None:
        slot = stream.slot = scope[SLOT]
        slot.admit_stream(browser=False)
        hub.join(stream, 0)
        slot.is_handed_over = True

    await run(detaches, limits)
    assert (limits.requests, limits.streams) == (1, 1)
    hub.leave(stream)
    hub.leave(stream)
    assert (limits.requests, limits.streams) == (0, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9))), st.integers(1, 4))
def test_streams_never_exceed_the_limit_and_no_slot_is_lost(
    steps: list[tuple[bool, int]], max_streams: int
) -> None:
    limits = new_limits(max_streams)
    slots: list[Slot] = []
    for opens, number in steps:
        if opens:
            slot = Slot(limits)
            try:
                slot.admit_stream(browser=False)
            except Problem:
                assert limits.streams == max_streams
                slot.release()
            else:
                slots.append(slot)
        elif slots:
            slots[number % len(slots)].release()
            if number % 2:  # else it is released again later, without effect
                del slots[number % len(slots)]
        assert limits.streams <= max_streams
        assert limits.requests == limits.streams
    for slot in slots:
        slot.release()
    assert (limits.requests, limits.streams) == (0, 0)


@pytest.fixture(params=[True, False], ids=["detached", "served"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Live]:
    async with live(detach=request.param, max_clients=1) as server:
        await server.publish()
        yield server


async def close(client: Client, _: Live) -> None:
    client.close()


async def reset(client: Client, _: Live) -> None:
    sock: socket.socket = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def half_close(client: Client, _: Live) -> None:
    client.writer.write_eof()


async def evict(_: Client, server: Live) -> None:
    """What the hub does to a slow client, or after a bug in its stream."""
    for stream in [*server.hub.streams]:
        server.hub.leave(stream)


async def drain(_: Client, server: Live) -> None:
    await server.hub.drain(0)
    server.hub.draining = False


@pytest.mark.parametrize("end", [close, reset, half_close, evict, drain])
async def test_next_stream_is_admitted_after_the_last_one_ended(
    server: Live, end: Callable[[Client, Live], Awaitable[None]]
) -> None:
    async with await Client.get(server.port, "/prices/stream") as first:
        assert await first.prices(1)
        async with await Client.get(server.port, "/prices/stream") as second:
            assert second.status == 503
        await end(first, server)
        async with asyncio.timeout(30):
            while (await opened(server)).status == 503:
                await asyncio.sleep(0.005)


async def opened(server: Live, **headers: str) -> Client:
    client = await Client.get(server.port, "/prices/stream", **headers)
    client.close()
    return client


@pytest.mark.parametrize(
    "request_line", ["HEAD /prices/stream", "GET /prices/stream?sinze=1", "GET /healthz"]
)
async def test_other_responses_keep_no_slot(server: Live, request_line: str) -> None:
    method, path = request_line.split()
    async with await Client.get(server.port, path, method=method):
        pass
    async with await Client.get(server.port, "/prices/stream") as stream:
        assert stream.status == 200


def test_per_address_limit_counts_networks_and_keeps_no_entry() -> None:
    limits = Limits(Hub(Ring(10), ManualClock(), heartbeat=15), StreamLimits(open_per_address=2))
    hosts = ("2001:db8::1", "2001:db8::2", "::ffff:192.0.2.1", "192.0.2.1")
    slots = [Slot(limits, group_of(host)) for host in hosts]
    for slot in slots:
        assert slot.admit_stream(browser=False) is None
    for host in hosts:
        with pytest.raises(Problem, match="MAX_CLIENTS_PER_IP") as raised:
            Slot(limits, group_of(host)).admit_stream(browser=False)
        assert raised.value.status == 429
    assert Slot(limits, group_of("2001:db8:0:1::1")).admit_stream(browser=False) is None
    for slot in slots:
        slot.release()
    assert limits.addresses == 1


@pytest.mark.parametrize(
    ("settings", "status", "reason"),
    [
        ({"max_clients": 1}, 503, "max_clients"),
        ({"max_clients_per_ip": 1}, 429, "max_clients_per_ip"),
        ({"connect_rate": 1}, 503, "connect_rate"),
        ({"connect_rate_per_ip": 1}, 429, "connect_rate_per_ip"),
    ],
)
async def test_beyond_a_limit_browsers_are_sent_away_and_others_refused(
    settings: dict[str, Any], status: int, reason: str
) -> None:
    clock = ManualClock()
    async with live(clock, **settings) as server, await Client.get(server.port, "/prices/stream") as inside:
        await inside.event()
        with capture_logs() as lines:
            async with await Client.get(server.port, "/prices/stream", sec_fetch_mode="cors") as browser:
                assert browser.status == 200
                assert 10_000 <= ((await browser.event()).retry or 0) <= 30_000
                with pytest.raises(EOFError):
                    await browser.event()
            async with await Client.get(server.port, "/prices/stream") as other:
                assert other.status == status
                assert 10 <= int(other.headers["retry-after"]) <= 30
        assert [(line["event"], line["reason"]) for line in lines] == [("streams rejected", reason)]
        published = await server.publish()  # open streams are never evicted
        assert await inside.prices(1) == [published]
        if "rate" in reason:
            await clock.advance(1)
            assert (await opened(server)).status == 200
        async with await Client.get(server.port, "/metrics") as metrics:
            assert f'btc_streams_rejected_total{{reason="{reason}"}} 2.0' in (await metrics.body()).decode()


async def test_an_address_beyond_its_rate_takes_nothing_of_the_others() -> None:
    async with live(ManualClock(), connect_rate=5, connect_rate_per_ip=2) as server:
        statuses = [
            (await opened(server, X_Forwarded_For=address)).status
            for address in ["192.0.2.1"] * 50 + ["192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"]
        ]
    assert statuses == [200, 200] + [429] * 48 + [200, 200, 200, 503]


async def test_waiting_requests_count_as_open_streams_and_not_as_new_ones() -> None:
    async with live(ManualClock(), connect_rate=1, max_clients_per_ip=1) as server:
        first = await server.publish()
        for _ in range(3):
            async with await Client.get(server.port, "/prices/next?after=0") as client:
                assert client.status == 200
        stream = await Client.get(server.port, "/prices/stream")
        async with await Client.get(server.port, f"/prices/next?after={first}") as client:
            assert client.status == 429
        stream.close()


def test_a_million_addresses_leave_bounded_memory() -> None:
    clock = ManualClock()
    limits = Limits(Hub(Ring(10), clock, heartbeat=15), StreamLimits(100, 2, 0, 2))
    slots: deque[Slot] = deque()
    chance = random.Random(1)
    tracemalloc.start()
    try:
        for _ in range(200_000):
            slot = Slot(limits, chance.getrandbits(64).to_bytes(8))
            with suppress(Problem):
                slot.admit_stream(browser=False)
            slots.append(slot)
            if len(slots) > 90:
                slots.popleft().release()
            assert limits.addresses <= 91
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
