"""Who a client is, as the limits of addresses show: only trusted proxies may say so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.testing import eventually
from btc_price_tracker.web.server.limits import ConnectionLimits
from live import Client, Live, live

ONE, OTHER = "192.0.2.1", "198.51.100.1"
STREAM = b"GET /prices/stream HTTP/1.1\r\nHost: x\r\n"
LINE = f"PROXY TCP4 {ONE} 10.0.0.1 4711 443\r\n".encode()
BINARY = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 1, 10, 0, 0, 1, 18, 103, 1, 187])
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    """One that admits a single stream of each address."""
    async with live(max_clients_per_ip=1, trusted_proxies="127.0.0.1") as server:
        yield server


@asynccontextmanager
async def sent(server: Live, *pieces: bytes, peer: str = "127.0.0.1") -> AsyncIterator[Client]:
    """A connection from `peer` on which these bytes were sent, each read by the server before the next."""
    client = Client(
        *await asyncio.open_connection("127.0.0.1", server.port, local_addr=(peer, 0)),
    )
    async with client:
        for piece in pieces:
            client.writer.write(piece)
            await client.writer.drain()
            await asyncio.sleep(0.005 if len(pieces) > 1 else 0)
        yield client


@asynccontextmanager
async def stream_of(
    server: Live, *, peer: str = "127.0.0.1", preface: bytes = b"", **fields: str
) -> AsyncIterator[int]:
    """The status of a stream that stays open meanwhile."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    async with sent(server, preface + STREAM + lines.encode() + b"\r\n", peer=peer) as client:
        await client.head()
        yield client.status


async def test_a_trusted_proxy_names_the_client(server: Live) -> None:
    async with stream_of(server, X_Forwarded_For=ONE) as first:
        assert first == 200
        async with stream_of(server, X_Forwarded_For=f"{OTHER}, {ONE}") as second:
            assert second == 429
        async with stream_of(server, Forwarded=f"for={ONE}") as second:
            assert second == 429
        async with stream_of(server, X_Forwarded_For=OTHER) as second:
            assert second == 200


async def test_fields_of_others_are_ignored(server: Live) -> None:
    async with stream_of(server, peer="127.0.0.2", X_Forwarded_For=ONE) as first:
        assert first == 200
        async with stream_of(server, peer="127.0.0.2", X_Forwarded_For=OTHER) as second:
            assert second == 429
        async with stream_of(server, X_Forwarded_For=ONE) as third:
            assert third == 200


async def test_each_request_of_a_proxy_has_a_client_of_its_own(server: Live) -> None:
    async with (
        stream_of(server, X_Forwarded_For=ONE),
        await Client.get(server.port, "/prices/latest", X_Forwarded_For=OTHER) as client,
    ):
        await client.body()
        client.writer.write(STREAM + f"X-Forwarded-For: {ONE}\r\n\r\n".encode())
        await client.head()
        assert client.status == 429
        await client.body()
        client.writer.write(STREAM + f"X-Forwarded-For: {OTHER}\r\n\r\n".encode())
        await client.head()
        assert client.status == 200


@pytest.mark.parametrize("preface", [LINE, BINARY], ids=["v1", "v2"])
async def test_the_proxy_protocol_names_the_client(server: Live, preface: bytes) -> None:
    async with stream_of(server, X_Forwarded_For=ONE) as first:
        assert first == 200
        async with stream_of(server, preface=preface) as second:
            assert second == 429
        # It is no proxy, so what it says of others doesn't count.
        async with stream_of(server, preface=preface, X_Forwarded_For=OTHER) as second:
            assert second == 429
    async with stream_of(server, preface=preface) as first:
        assert first == 200


async def test_a_proxy_behind_the_proxy_protocol_names_the_client(server: Live) -> None:
    behind = LINE.replace(ONE.encode(), b"127.0.0.1")
    async with stream_of(server, preface=behind, X_Forwarded_For=ONE) as first:
        assert first == 200
        async with stream_of(server, X_Forwarded_For=ONE) as second:
            assert second == 429


@pytest.mark.parametrize("preface", [LOCAL, b"PROXY UNKNOWN\r\n"], ids=["local", "unknown"])
async def test_a_proxy_that_speaks_for_itself_is_the_client(server: Live, preface: bytes) -> None:
    async with stream_of(server, preface=preface) as first:
        assert first == 200
        async with stream_of(server) as second:
            assert second == 429


@pytest.mark.parametrize("preface", [LINE, BINARY, LOCAL], ids=["v1", "v2", "local"])
async def test_a_header_in_pieces(server: Live, preface: bytes) -> None:
    data = preface + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    for size in (1, 5, 14):
        pieces = [data[at : at + size] for at in range(0, len(preface) + 20, size)]
        async with sent(server, *pieces, data[len(pieces) * size :]) as client:
            await client.head()
            assert client.status == 200


@pytest.mark.parametrize(
    "data", [b"PROXY nonsense\r\n", BINARY.replace(b"\x21\x11", b"\x31\x11"), b"PROXY " + b"x" * 200]
)
async def test_an_invalid_header_ends_the_connection(server: Live, data: bytes) -> None:
    async with sent(server, data) as client:
        with pytest.raises((EOFError, ConnectionError)):
            await client.head()
    assert server.service.peers.refused.counts["preface"] == 1


async def test_a_second_header_is_an_invalid_request(server: Live) -> None:
    async with sent(server, LINE + LINE + STREAM) as client:
        await client.head()
        assert client.status == 400


async def test_a_header_of_others_is_an_invalid_request(server: Live) -> None:
    async with sent(server, LINE + STREAM + b"\r\n", peer="127.0.0.2") as client:
        await client.head()
        assert client.status == 400


async def test_log_lines_name_the_client(server: Live) -> None:
    with capture_logs() as lines:
        async with sent(server, LINE + b"\x16\x03\x01") as client:
            await client.head()
    assert [line["client"] for line in lines if "client" in line] == [(ONE, 4711)]


async def test_a_header_that_never_ends_is_overdue() -> None:
    limits = ConnectionLimits(head_timeout=0.1, check_interval=0.02)
    async with live(limits=limits) as server, sent(server, LINE[:-1]) as client:
        assert await client.reader.read() == b""


async def test_trust_can_be_withdrawn() -> None:
    async with live(max_clients_per_ip=1, trusted_proxies="none") as server:
        async with stream_of(server, X_Forwarded_For=ONE) as first:
            assert first == 200
            async with stream_of(server, X_Forwarded_For=OTHER) as second:
                assert second == 429
        await eventually(lambda: len(server.hub) == 0)
