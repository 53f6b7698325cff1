"""Each fault as a client sees it on the wire."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import httpx2
import pytest
import uvloop

from btc_price_tracker.playback import Fault, Playback, Script
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.testing import ManualClock, eventually

KRAKEN = SOURCES["kraken"]
REQUEST = f"GET /kraken{KRAKEN.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
PATIENCE = 30  # seconds before a test gives up


@asynccontextmanager
async def asked(playback: Playback) -> AsyncIterator[asyncio.StreamReader]:
    """A raw connection on which Kraken's ticker has been asked for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", playback.port)
    writer.write(REQUEST)
    try:
        async with asyncio.timeout(PATIENCE):
            yield reader
    finally:
        writer.transport.abort()


async def get(playback: Playback, client: httpx2.AsyncClient, fault: Fault) -> httpx2.Response:
    playback.faults["kraken"] = fault
    return await client.get(playback.url("kraken") + KRAKEN.path)


async def whole(playback: Playback) -> tuple[str, bytes]:
    """Head and body as they came, up to the end of the connection."""
    async with asked(playback) as reader:
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    return head.decode(), body


async def test_a_fault_hurts_its_own_source_and_ends_when_it_is_taken_back(
    playback: Playback, client: httpx2.AsyncClient
) -> None:
    assert (await get(playback, client, Fault(status=500))).status_code == 500
    assert (await client.get(playback.url("okx") + SOURCES["okx"].path)).status_code == 200
    del playback.faults["kraken"]
    assert (await client.get(playback.url("kraken") + KRAKEN.path)).status_code == 200


async def test_status_headers_and_body_take_the_place_of_the_venues_own(
    playback: Playback, client: httpx2.AsyncClient
) -> None:
    fault = Fault(status=429, headers={"retry-after": "119", "content-TYPE": "text/html"}, body=b"\xff<html>")
    response = await get(playback, client, fault)
    assert (response.status_code, response.content) == (429, b"\xff<html>")
    assert response.headers["retry-after"] == "119"
    assert response.headers.get_list("content-type") == ["text/html"]


async def test_a_status_without_a_name_is_sent_all_the_same(
    playback: Playback, client: httpx2.AsyncClient
) -> None:
    assert (await get(playback, client, Fault(status=599))).status_code == 599


async def test_an_empty_body_is_a_body(playback: Playback, client: httpx2.AsyncClient) -> None:
    assert (await get(playback, client, Fault(body=b""))).content == b""


async def test_scale_multiplies_every_price(playback: Playback, client: httpx2.AsyncClient) -> None:
    quote = KRAKEN.parse((await get(playback, client, Fault(scale=Decimal("1.049")))).content)
    assert quote.last == Decimal("69420.25") * Decimal("1.049")
    assert quote.bid is not None
    assert quote.ask is not None
    assert quote.bid < quote.last < quote.ask


async def test_delay_holds_back_the_first_byte(script: Script) -> None:
    clock = ManualClock()
    async with Playback(script, clock) as playback:
        playback.faults["kraken"] = Fault(delay=7)
        async with asked(playback) as reader:
            first = asyncio.create_task(reader.read(1))
            await clock.sleeping()
            await clock.advance(6.9)
            assert not first.done()
            await clock.advance(0.1)
            assert await first == b"H"


async def test_drip_holds_back_every_byte_of_the_body(script: Script) -> None:
    clock = ManualClock()
    async with Playback(script, clock) as playback:
        playback.faults["kraken"] = Fault(drip=2, body=b"abc")
        async with asked(playback) as reader:
            await reader.readuntil(b"\r\n\r\n")
            for byte in (b"a", b"b", b"c"):
                await clock.sleeping()
                await clock.advance(2)
                assert await reader.readexactly(1) == byte
    assert clock.monotonic() == 6


async def test_hang_takes_the_request_and_never_answers(playback: Playback) -> None:
    playback.faults["kraken"] = Fault(hang=True)
    async with asked(playback) as reader:
        await eventually(lambda: playback.calls["kraken"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
    await eventually(lambda: not playback._connections)  # … and ends when the client has had enough


async def test_reset_before_the_head_is_seen_as_a_reset(playback: Playback) -> None:
    playback.faults["kraken"] = Fault(reset="head")
    async with asked(playback) as reader:
        with pytest.raises(ConnectionResetError):
            await reader.read()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_reset_in_the_body_comes_after_half_of_it(
    script: Script, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A blocking socket, since a stream reader drops what came before a reset."""

    async def play() -> bytes:
        async with Playback(script) as playback:
            playback.faults["kraken"] = Fault(reset="body", body=b"x" * 1000)
            return await asyncio.to_thread(read_until_reset, playback.port)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(play()).endswith(b"\r\n\r\n" + b"x" * 500)


def read_until_reset(port: int) -> bytes:
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(REQUEST)
        try:
            while data := client.recv(65536):
                heard += data
        except ConnectionResetError:
            return heard
    raise AssertionError("the connection ended without a reset")


async def test_truncate_promises_the_whole_body_and_sends_a_part(
    playback: Playback, client: httpx2.AsyncClient
) -> None:
    fault = Fault(truncate=5, body=b'{"error":[]}')
    with pytest.raises(httpx2.RemoteProtocolError):
        await get(playback, client, fault)
    head, body = await whole(playback)
    assert "Content-Length: 12" in head
    assert body == b'{"err'


async def test_a_content_length_of_choice_is_sent_once_and_the_connection_closed(playback: Playback) -> None:
    playback.faults["kraken"] = Fault(headers={"content-length": "3"}, body=b"12345")
    head, body = await whole(playback)
    assert head.lower().count("content-length") == 1
    assert body == b"12345"


async def test_a_redirect_to_itself_is_a_loop(playback: Playback, client: httpx2.AsyncClient) -> None:
    playback.faults["kraken"] = Fault(status=302, headers={"Location": "/kraken/again"})
    with pytest.raises(httpx2.TooManyRedirects):
        await client.get(playback.url("kraken"), follow_redirects=True)


async def test_a_flood_is_as_long_as_it_was_told_and_tells_nobody(
    playback: Playback, client: httpx2.AsyncClient
) -> None:
    response = await get(playback, client, Fault(flood=10 * 2**20 + 1))
    assert "content-length" not in response.headers
    assert response.content == b" " * (10 * 2**20 + 1)


async def test_a_bomb_is_small_on_the_wire_and_huge_unfolded(
    playback: Playback, client: httpx2.AsyncClient
) -> None:
    playback.faults["kraken"] = Fault(bomb=10 * 2**20)
    async with client.stream("GET", playback.url("kraken")) as response:
        packed = b"".join([piece async for piece in response.aiter_raw()])
    assert response.headers["content-encoding"] == "gzip"
    assert len(packed) < 10 * 2**20 // 100
    assert gzip.decompress(packed) == bytes(10 * 2**20)


async def test_a_reader_that_keeps_up_with_a_bomb_leaves_time_for_others(
    playback: Playback, client: httpx2.AsyncClient
) -> None:
    playback.faults["kraken"] = Fault(bomb=2**40)
    reading = asyncio.create_task(asyncio.to_thread(read_for_ever, playback.port))
    await eventually(lambda: playback.calls["kraken"])
    assert (await client.get(playback.url("okx"))).status_code == 404
    assert not reading.done()
    await playback.__aexit__(None, None, None)
    await reading


def read_for_ever(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(REQUEST)
        with suppress(ConnectionResetError):
            while client.recv(65536):
                pass


async def test_a_client_that_leaves_in_the_middle_of_a_flood_ends_it(playback: Playback) -> None:
    playback.faults["kraken"] = Fault(flood=2**40)
    async with asked(playback) as reader:
        await reader.readexactly(100_000)
    await eventually(lambda: not playback._connections)


@pytest.mark.parametrize(
    "fault",
    [Fault(hang=True), Fault(delay=3600), Fault(drip=3600), Fault(flood=2**40), Fault()],
    ids=["hanging", "delayed", "dripping", "blocked by a reader that does not read", "idle"],
)
async def test_closing_the_playback_ends_every_connection_at_once(script: Script, fault: Fault) -> None:
    async with Playback(script) as playback:
        playback.faults["kraken"] = fault
        reader, writer = await asyncio.open_connection("127.0.0.1", playback.port)
        writer.write(REQUEST)
        await eventually(lambda: playback.calls["kraken"])
        closing = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - closing < 10
    assert not playback._connections
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionResetError):  # what we never read turns the end into a reset
            await reader.read()
    writer.close()
