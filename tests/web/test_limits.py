"""Every request takes one slot and gives it back, however its response ends."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.testing import ManualClock
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


async def opened(server: Live) -> Client:
    client = await Client.get(server.port, "/prices/stream")
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
