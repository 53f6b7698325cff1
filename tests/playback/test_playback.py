import asyncio
from decimal import Decimal

import httpx2
import pytest

from btc_price_tracker.playback import ORIGIN, VENUES, Playback, Script
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.testing import ManualClock, eventually

NOW = 1_764_000_000_000


async def talk(playback: Playback, *pieces: bytes) -> bytes:
    """Send raw bytes and return all that comes until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", playback.port)
    for piece in pieces:
        writer.write(piece)
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("name", SOURCES)
async def test_each_source_is_at_its_url_under_its_real_path(
    playback: Playback, client: httpx2.AsyncClient, name: str
) -> None:
    response = await client.get(playback.url(name) + SOURCES[name].path)
    assert response.status_code == 200
    assert SOURCES[name].parse(response.content).last == Decimal("69420.25")


def test_the_urls_bear_the_names_of_the_settings() -> None:
    urls = Playback(Script(), port=1234).urls()
    assert urls["kraken_url"] == "http://127.0.0.1:1234/kraken"
    assert list(urls) == [f"{name}_url" for name in VENUES]


async def test_a_script_may_change_its_mind_between_two_questions(
    playback: Playback, script: Script, client: httpx2.AsyncClient
) -> None:
    url = playback.url("coinbase") + "/products/BTC-USD/ticker"
    script.quotes["coinbase"] = Quote(Decimal(7), bid=Decimal(9), ask=Decimal(8), time=NOW)
    assert (await client.get(url)).json() == {
        "price": "7",
        "bid": "9",
        "ask": "8",
        "time": "2025-11-24T16:00:00.000000Z",
    }
    del script.quotes["coinbase"]
    assert (await client.get(url)).status_code == 503


async def test_many_requests_share_one_connection(playback: Playback, client: httpx2.AsyncClient) -> None:
    for name, source in SOURCES.items():
        assert (await client.get(playback.url(name) + source.path)).status_code == 200
    assert len(playback._connections) == 1


async def test_pipelined_requests_are_answered_in_order(playback: Playback) -> None:
    request = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
    heard = await talk(playback, request % b"kraken" + request % b"gemini" + b"nonsense\r\n\r\n")
    kraken, gemini = heard.index(b"Unknown method"), heard.index(b"EndpointNotFound")
    assert kraken < gemini


async def test_calls_are_noted_with_their_time_target_and_headers(
    script: Script, client: httpx2.AsyncClient
) -> None:
    clock = ManualClock(NOW)
    async with Playback(script, clock) as playback:
        await clock.advance(2)
        await client.get(playback.url("okx") + "/a?b=c", headers={"User-Agent": "tester"})
        (call,) = playback.calls["okx"]
    assert (call.at, call.monotonic, call.target) == (NOW + 2000, 2, "/a?b=c")
    assert call.headers["user-agent"] == "tester"
    assert not playback.calls["kraken"]


async def test_the_date_header_is_the_time_of_the_clock(script: Script, client: httpx2.AsyncClient) -> None:
    async with Playback(script, ManualClock(NOW)) as playback:
        response = await client.get(playback.url("okx"))
    assert response.headers["date"] == "Mon, 24 Nov 2025 16:00:00 GMT"


async def test_a_source_answers_get_alone(playback: Playback, client: httpx2.AsyncClient) -> None:
    assert (await client.post(playback.url("kraken"))).status_code == 405


async def test_an_unknown_source_is_404_and_names_those_that_there_are(
    playback: Playback, client: httpx2.AsyncClient
) -> None:
    response = await client.get(playback.url("mtgox"))
    assert response.status_code == 404
    assert "/kraken" in response.json()["error"]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"hello\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET kraken HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_closed(
    playback: Playback, nonsense: bytes
) -> None:
    assert (await talk(playback, nonsense)).startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_a_client_that_hangs_up_halfway_leaves_nothing_behind(playback: Playback) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", playback.port)
    writer.write(b"PUT /faults/kraken HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await eventually(lambda: not playback._connections)


@pytest.mark.parametrize("path", ["/", "//[", "/%zz?%zz=&&=", "/?a=1?b#c"])
async def test_an_odd_path_is_just_one_that_the_venue_does_not_have(playback: Playback, path: str) -> None:
    heard = await talk(playback, f"GET /okx{path} HTTP/1.1\r\n\r\nend\r\n\r\n".encode())
    assert heard.startswith(b"HTTP/1.1 404 Not Found\r\n")


async def test_a_second_playback_on_the_same_port_is_refused(playback: Playback, script: Script) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await Playback(script, port=playback.port).__aenter__()


def test_the_origin_names_the_venues_and_what_is_computed() -> None:
    assert all(
        word in ORIGIN for word in ("Coinbase", "Kraken", "Binance.US", "2023", "CoinGecko", "computed")
    )
