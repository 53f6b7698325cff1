"""One address may have so many connections, and so many that have not sent a request; proxies as many as they like."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from btc_price_tracker.testing import eventually
from btc_price_tracker.web.address.trusted import Trusted
from btc_price_tracker.web.server.limits import ConnectionLimits
from btc_price_tracker.web.server.sockets import Peers, Place, Sockets
from live import Client, Live, live

UNFINISHED, MOST = 3, 5
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LINE = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    """One for which a fifth of the connections are MOST."""
    limits = ConnectionLimits(max_unfinished=UNFINISHED, share=6, check_interval=0.05)
    async with live(limits=limits, files=40, trusted_proxies="127.0.0.9") as server:
        yield server


async def connect(server: Live, data: bytes = b"", peer: str = "127.0.0.1") -> Client:
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port, local_addr=(peer, 0)))
    client.writer.write(data)
    return client


async def is_refused(client: Client) -> bool:
    """Whether the connection is closed without an answer, instead of staying open or answering."""
    refused = False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            try:
                refused = not await client.reader.read(1)
            except ConnectionError:
                refused = True
    if refused:
        client.close()
    return refused


def connections(server: Live) -> int:
    return len(server.server.server_state.connections)


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n"])
async def test_connections_without_a_head_are_limited(server: Live, start: bytes) -> None:
    clients = [await connect(server, start) for _ in range(UNFINISHED)]
    await eventually(lambda: connections(server) == UNFINISHED)
    with capture_logs() as lines:
        for _ in range(3):
            assert await is_refused(await connect(server, REQUEST))
    assert [(line["event"], line["reason"]) for line in lines] == [("connections refused", "unfinished")]
    assert server.service.peers.refused.counts["unfinished"] == 3
    async with await connect(server, REQUEST, peer="127.0.0.2") as other:
        assert not await is_refused(other)
    clients[0].close()
    await eventually(lambda: connections(server) < UNFINISHED)
    async with await connect(server, REQUEST) as next_one:
        assert not await is_refused(next_one)
    for client in clients:
        client.close()


async def test_connections_of_one_address_are_limited(server: Live) -> None:
    clients = []
    for _ in range(MOST):
        clients.append(await connect(server, REQUEST))
        await clients[-1].head()
    assert await is_refused(await connect(server, REQUEST))
    assert server.service.peers.refused.counts["connections"] == 1
    for client in clients:
        client.close()


async def test_streams_are_no_longer_counted(server: Live) -> None:
    streams = [await Client.get(server.port, "/prices/stream") for _ in range(2 * MOST)]
    assert [stream.status for stream in streams] == [200] * (2 * MOST)
    for stream in streams:
        stream.close()


async def test_streams_that_stay_with_the_server_are_no_longer_counted() -> None:
    limits = ConnectionLimits(max_unfinished=UNFINISHED)
    async with live(limits=limits, detach=False, files=40, trusted_proxies="none") as server:
        streams = [await Client.get(server.port, "/prices/stream") for _ in range(2 * MOST)]
        for stream in streams:
            assert (await stream.event()).name == "status"
            stream.close()


async def test_trusted_proxies_are_not_limited(server: Live) -> None:
    clients = [await connect(server, peer="127.0.0.9") for _ in range(3 * MOST)]
    await eventually(lambda: connections(server) == 3 * MOST)
    for client in clients:
        client.close()


async def test_whom_the_proxy_protocol_names_is_limited(server: Live) -> None:
    clients = [await connect(server, LINE, peer="127.0.0.9") for _ in range(UNFINISHED)]
    await eventually(lambda: connections(server) == UNFINISHED)
    assert await is_refused(await connect(server, LINE + REQUEST, peer="127.0.0.9"))
    async with await connect(server, REQUEST, peer="127.0.0.9") as direct:
        assert not await is_refused(direct)
    for client in clients:
        client.close()


async def test_nothing_is_left_of_an_attack(server: Live) -> None:
    for number in range(2, 9):
        clients = [await connect(server, b"GET", peer=f"127.0.0.{number}") for _ in range(2 * UNFINISHED)]
        for client in clients:
            client.close()
    await eventually(lambda: connections(server) == 0)
    assert len(server.server.by_address) == 0


@given(
    st.lists(st.tuples(st.sampled_from(["enter", "finish_head", "leave"]), st.integers(0, 20)), max_size=200)
)
def test_counts_are_those_of_the_places(steps: list[tuple[str, int]]) -> None:
    sockets = Sockets(Peers(Trusted([])), max_unfinished=2, most=3)
    places: list[tuple[str, Place]] = []
    unfinished: list[Place] = []
    for step, number in steps:
        host = f"192.0.2.{number % 3}"
        if step == "enter":
            of_host = [place for its, place in places if its == host]
            place = sockets.enter(host)
            is_full = len(of_host) == 3 or sum(each in unfinished for each in of_host) == 2
            assert (place is None) is is_full
            if place is not None:
                places.append((host, place))
                unfinished.append(place)
        elif places:
            at = number % len(places)
            place = places[at][1]
            unfinished = [each for each in unfinished if each is not place]
            if step == "leave":
                place.leave()
                places.pop(at)
            place.finish_head()
        assert len(sockets) == len({host for host, _ in places})
