"""Every connection has deadlines and limits, and nothing of it is left behind."""

import asyncio
import contextlib
import errno
import gc
import json
import logging
import math
import os
import socket
import struct
import time
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from btc_price_tracker.store import Span
from btc_price_tracker.testing import eventually
from btc_price_tracker.web.server import server as server_module
from btc_price_tracker.web.server.connection import Connection
from btc_price_tracker.web.server.detach import DETACHABLE, DetachableResponse
from btc_price_tracker.web.server.incoming import Incoming
from btc_price_tracker.web.server.limits import DEFAULTS, ConnectionLimits
from btc_price_tracker.web.server.server import listen
from live import Client, Live, live
from timeouts import leap

DEADLINE = 0.4  # seconds, in place of ten
AGES = 20.0  # seconds: who is closed before them was closed by a deadline, however busy the machine
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
STREAM = b"GET /prices/stream HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def server() -> AsyncIterator[Live]:
    """A server that gives every client more time than a busy machine takes."""
    async with live(limits=ConnectionLimits(head_timeout=60, check_interval=0.05)) as server:
        yield server


@pytest.fixture
async def hasty() -> AsyncIterator[Live]:
    """A server whose deadlines pass while a test waits for them."""
    async with live(
        limits=ConnectionLimits(head_timeout=DEADLINE, check_interval=0.05), keep_alive=1
    ) as server:
        yield server


async def connect(server: Live, receive_buffer: int | None = None) -> Client:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(("127.0.0.1", server.port))
    return Client(*await asyncio.open_connection(sock=sock, limit=4096))


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def answer(client: Client) -> tuple[int, bytes]:
    """The next answer on a connection that is kept alive."""
    await client.head()
    return client.status, await client.body()


async def closed(client: Client) -> None:
    """Until the server has closed the connection."""
    async with asyncio.timeout(AGES):
        try:
            while await client.reader.read(65536):
                pass
        except ConnectionResetError:  # closed while we were still sending
            pass


async def trickle(client: Client, data: bytes) -> None:
    """A byte at a time, often enough that no single wait is long."""
    try:
        for byte in data:
            client.writer.write(bytes([byte]))
            await asyncio.sleep(DEADLINE / 10)
    except ConnectionError:
        pass


def now() -> float:
    return asyncio.get_running_loop().time()


def connections() -> int:
    gc.collect()
    return sum(isinstance(thing, Connection) for thing in gc.get_objects())


async def test_who_connects_and_says_nothing_is_closed_at_the_deadline(hasty: Live) -> None:
    started = now()
    async with await connect(hasty) as client:
        await closed(client)
    assert now() - started >= DEADLINE * 0.9


@pytest.mark.parametrize("before", [b"", REQUEST], ids=["the first", "the second"])
async def test_a_head_that_trickles_is_cut_off_at_the_deadline(hasty: Live, before: bytes) -> None:
    started = now()
    async with await connect(hasty) as client:
        if before:
            client.writer.write(before)
            await answer(client)
            started = now()
        head = asyncio.create_task(trickle(client, b"GET / HTTP/1.1\r\nX-Slow: " + b"a" * 1000))
        await closed(client)
        head.cancel()
    assert now() - started >= DEADLINE * 0.9


async def test_a_stream_outlives_the_deadline_of_its_head(hasty: Live) -> None:
    async with await Client.get(hasty.port, "/prices/stream") as client:
        await asyncio.sleep(2 * DEADLINE)
        fresh = await hasty.publish()
        assert await client.prices(1) == [fresh]


async def test_a_stream_that_no_descriptor_is_left_for_stays_with_the_server(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def duplicate(_: DetachableResponse) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(DetachableResponse, "duplicate", duplicate)
    first = await server.publish()
    async with await Client.get(server.port, "/prices/stream") as client:
        assert await client.prices(1) == [first]
        assert len(server.server.server_state.connections) == 1
        fresh = await server.publish()
        assert await client.prices(1) == [fresh]


async def test_a_kept_connection_that_rests_is_closed(hasty: Live) -> None:
    started = now()
    async with await Client.get(hasty.port, "/healthz") as client:
        await client.body()
        await closed(client)
    assert now() - started >= 0.8


async def test_a_body_that_trickles_after_its_405_is_cut_off(hasty: Live) -> None:
    async with await connect(hasty) as client:
        client.writer.write(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        status, _ = await answer(client)
        assert status == 405
        body = asyncio.create_task(trickle(client, b"a" * 1000))
        await closed(client)
        body.cancel()


async def write_in_pieces(client: Client, data: bytes, pieces: int) -> None:
    size = len(data) // pieces + 1
    for at in range(0, len(data), size):
        client.writer.write(data[at : at + size])
        await asyncio.sleep(0.01)


HUGE = b"a" * (DEFAULTS.max_head + 1)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + HUGE,
        b"GET /" + HUGE + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Huge: " + HUGE,
        b"GET / HTTP/1.1\r\nX-Huge: " + HUGE + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-Many: a\r\n" * 2000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-Many: a\r\n" * 2000,
    ],
    ids=["path", "whole path", "field", "whole field", "whole many", "many"],
)
@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_head_too_large_is_431_in_the_words_of_every_other_error(
    server: Live, head: bytes, pieces: int
) -> None:
    async with await connect(server) as client:
        await write_in_pieces(client, head, pieces)
        _, body = await answer(client)
        assert_is_problem(client, body, 431)


async def test_who_is_refused_and_goes_on_sending_reads_why(server: Live) -> None:
    """A connection that was closed at once would be reset by what comes, and the answer in it lost."""
    loop = asyncio.get_running_loop()
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.setblocking(False)
        for _ in range(3):
            await loop.sock_sendall(sock, b"hello\r\n\r\n")
            await readable(sock)
        said = b""
        while piece := await loop.sock_recv(sock, 65536):
            said += piece
    assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert said.endswith(b"}")


async def readable(sock: socket.socket) -> None:
    """Wait for an answer and leave it where it is."""
    answered = asyncio.Event()
    asyncio.get_running_loop().add_reader(sock, answered.set)
    async with asyncio.timeout(30):
        await answered.wait()
    asyncio.get_running_loop().remove_reader(sock)


async def test_rejected_client_that_keeps_sending_is_disconnected(server: Live) -> None:
    async with await connect(server) as client:
        client.writer.write(b"hello\r\n\r\n")
        assert (await answer(client))[0] == 400
        with pytest.raises(ConnectionError):
            await flood(client)


async def flood(client: Client) -> None:
    async with asyncio.timeout(30):
        while True:
            client.writer.write(bytes(65536))
            await client.writer.drain()


async def test_who_is_refused_and_stays_is_closed(hasty: Live) -> None:
    async with await connect(hasty) as client:
        client.writer.write(b"hello\r\n\r\n")
        assert (await answer(client))[0] == 400
        await eventually(lambda: not open_connections(hasty))


@pytest.mark.parametrize("pieces", [1, 7])
async def test_a_head_just_within_the_limit_is_answered(server: Live, pieces: int) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * (DEFAULTS.max_head - 100) + b"\r\n\r\n"
    async with await connect(server) as client:
        await write_in_pieces(client, head, pieces)
        assert (await answer(client))[0] == 200


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    ],
    ids=["TLS", "words", "a bad field"],
)
async def test_what_is_no_http_is_400_in_the_words_of_every_other_error(server: Live, garbage: bytes) -> None:
    async with await connect(server) as client:
        client.writer.write(garbage)
        _, body = await answer(client)
        assert_is_problem(client, body, 400)
        assert await client.reader.read() == b""


def assert_is_problem(client: Client, body: bytes, status: int) -> None:
    assert client.status == status
    assert client.headers["content-type"] == "application/problem+json"
    assert client.headers["x-request-id"]
    assert client.headers["connection"] == "close"
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]


async def test_a_connection_is_kept_after_errors(server: Live) -> None:
    async with await connect(server) as client:
        for line, expected in [
            ("GET /nothing", 404),
            ("DELETE /healthz", 405),
            ("POST /prices/stream", 405),
            ("GET /prices/stream?since=x", 400),
            ("HEAD /prices/latest", 503),
            ("GET /healthz", 200),
        ]:
            client.writer.write(f"{line} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            client.headers, client.raw = {}, b""
            await client.head()
            assert client.status == expected
            if not line.startswith("HEAD"):
                await client.body()


async def test_a_long_body_that_nobody_wants_does_not_end_the_connection(server: Live) -> None:
    async with await connect(server) as client:
        client.writer.write(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n")
        assert (await answer(client))[0] == 405
        client.writer.write(b"a" * 300_000 + REQUEST)
        assert (await answer(client))[0] == 200


async def test_a_request_with_a_body_leaves_the_connection_fit_for_the_next(server: Live) -> None:
    async with await connect(server) as client:
        client.writer.write(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + REQUEST)
        assert (await answer(client))[0] == 405
        assert (await answer(client))[0] == 200


async def test_pipelined_requests_are_answered_in_order_however_many_come_at_once(server: Live) -> None:
    async with await connect(server) as client:
        for number in range(1000):
            client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: %d\r\n\r\n" % number)
        for number in range(1000):
            assert (await answer(client))[0] == 200
            assert client.headers["x-request-id"] == str(number)


async def test_a_flood_of_pipelined_requests_waits_as_bytes(server: Live) -> None:
    async with await connect(server) as client:
        request = b"GET /x HTTP/1.1\r\nHost:\r\n\r\n"
        client.writer.write(request * 10_000)
        await eventually(lambda: any(its.pipeline for its in open_connections(server)))
        most = 0
        for _ in range(300):  # turns of the loop
            await asyncio.sleep(0)
            most = max([most, *(len(its.pipeline) for its in open_connections(server))])
        assert 0 < most <= 4096 / len(request) + 1


def open_connections(server: Live) -> list[Connection]:
    return [its for its in server.server.server_state.connections if isinstance(its, Connection)]


@pytest.mark.parametrize("trailer", [b"a:b\r\n", b"y" * 100], ids=["many", "endless"])
async def test_what_trails_a_body_is_neither_kept_nor_endless(server: Live, trailer: bytes) -> None:
    async with await connect(server) as client:
        client.writer.write(b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
        assert (await answer(client))[0] == 405
        (connection,) = open_connections(server)
        client.writer.write(b"z:" + trailer * 1000)
        await eventually(lambda: connection._received > 0)
        assert not connection.headers
        assert len(list(connection.scope["headers"])) == 2
        with contextlib.suppress(ConnectionError):
            for _ in range(500):
                client.writer.write(trailer * 1000)
                await client.writer.drain()
                await asyncio.sleep(0)
        await eventually(lambda: not open_connections(server))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_who_hangs_up_with_a_request_behind_its_stream_is_forgotten(version: str) -> None:
    async with live(detach=False) as server:
        client = await connect(server)
        client.writer.write(STREAM.replace(b"1.1", version.encode()) + REQUEST)
        await client.head()
        await eventually(lambda: len(server.hub) == 1)
        reset(client)
        await eventually(lambda: not open_connections(server))
        await eventually(lambda: len(server.hub) == 0)
        await eventually(lambda: not server.server.server_state.tasks)


async def test_garbage_behind_requests_is_refused_after_their_answers(server: Live) -> None:
    async with await connect(server) as client:
        client.writer.write(REQUEST + DOCUMENT + b"zz\r\n\r\n")
        assert (await answer(client))[0] == 200
        assert (await answer(client))[0] == 200
        _, body = await answer(client)
        assert_is_problem(client, body, 400)
        assert await client.reader.read() == b""


async def test_who_offers_another_protocol_is_answered_without_a_word_in_the_log(
    server: Live, caplog: pytest.LogCaptureFixture
) -> None:
    offer = b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    async with await connect(server) as client:
        client.writer.write(REQUEST.replace(b"\r\n\r\n", offer))
        assert (await answer(client))[0] == 200
    assert not caplog.records


OFFER = b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n" + OFFER + b"\r\n", 200),
        (b"POST /healthz HTTP/1.1\r\n" + OFFER + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN, 405),
        (
            b"POST /healthz HTTP/1.1\r\n"
            + OFFER
            + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(HIDDEN)
            + HIDDEN
            + b"\r\n0\r\n\r\n",
            405,
        ),
    ],
    ids=["no body", "a body", "chunks"],
)
@pytest.mark.parametrize("pieces", [1, 5])
async def test_declined_upgrade_smuggles_and_loses_no_request(
    server: Live, request_: bytes, status: int, pieces: int
) -> None:
    async with await connect(server) as client:
        await write_in_pieces(client, request_ + request_ + DOCUMENT, pieces)
        for expected in (status, status, 200):
            assert (await answer(client))[0] == expected
        client.writer.write(REQUEST)
        assert (await answer(client))[0] == 200


async def test_connect_is_a_405_problem(server: Live) -> None:
    async with await connect(server) as client:
        client.writer.write(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n" + REQUEST)
        _, body = await answer(client)
        assert_is_problem(client, body, 405)
        assert await client.reader.read() == b""


@pytest.mark.parametrize(
    ("version", "fields", "status"),
    [
        ("1.1", b"", 400),
        ("1.1", b"Host: a\r\nHost: a\r\n", 400),
        ("1.0", b"Host: a\r\nHost: b\r\n", 400),
        ("1.1", b"Host: a b\r\n", 400),
        ("1.1", b"Host: a/b\r\n", 400),
        ("1.1", b"Host: \xc3\xa4\r\n", 400),
        ("1.1", b"Host:\r\n", 200),
        ("1.1", b"Host: \t a:80 \t\r\n", 200),
        ("1.1", b"Host: [::1]:8082\r\n", 200),
        ("1.0", b"", 200),
    ],
)
async def test_request_needs_exactly_one_valid_host(
    server: Live, version: str, fields: bytes, status: int
) -> None:
    async with await connect(server) as client:
        client.writer.write(b"GET /healthz HTTP/%b\r\n%b\r\n" % (version.encode(), fields))
        _, body = await answer(client)
        if status == 400:
            assert_is_problem(client, body, 400)
            assert "Host" in json.loads(body)["detail"]
        assert client.status == status


async def test_half_closed_client_gets_every_response(server: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    await server.publish()
    asked, go_on = asyncio.Event(), asyncio.Event()
    page = server.service.store.page

    async def slow(*args: Any) -> Any:
        asked.set()
        await go_on.wait()
        return await page(*args)

    monkeypatch.setattr(server.service.store, "page", slow)
    async with await connect(server) as client:
        client.writer.write(DOCUMENT + REQUEST.replace(b"/healthz", b"/prices") + DOCUMENT + REQUEST[:9])
        client.writer.write_eof()
        await asked.wait()
        go_on.set()
        for _ in range(3):
            assert (await answer(client))[0] == 200
        assert await client.reader.read() == b""
    await eventually(lambda: not open_connections(server))


async def test_half_closed_client_times_out_without_a_response(
    server: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled = await endless_work(server, monkeypatch)
    async with await connect(server) as client:
        client.writer.write(REQUEST.replace(b"/healthz", b"/prices"))
        client.writer.write_eof()
        await eventually(lambda: any(its._eof_at < math.inf for its in open_connections(server)))
        leap(DEFAULTS.half_closed_timeout)
        await cancelled.wait()
        await eventually(lambda: not open_connections(server))


@pytest.mark.parametrize("way", ["reset", "close after the answer began"])
async def test_disconnect_cancels_the_request(
    server: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    cancelled = await endless_work(server, monkeypatch)
    client = await connect(server)
    path = b"/prices" if way == "reset" else b"/prices/stream?since=1"
    client.writer.write(REQUEST.replace(b"/healthz", path))
    await eventually(lambda: any(its._task for its in open_connections(server)))
    if way == "reset":
        reset(client)
    else:
        await client.head()
        client.close()
    await cancelled.wait()
    await eventually(lambda: not server.server.server_state.tasks)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def endless_work(server: Live, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Make the store never answer, and tell when it needs to no more."""
    await server.publish()
    cancelled = asyncio.Event()

    async def never(*_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    for name in ("page", "span"):
        monkeypatch.setattr(server.service.store, name, never)
    return cancelled


async def test_client_that_reads_nothing_is_closed(server: Live) -> None:
    async with await connect(server, receive_buffer=4096) as client:
        client.writer.write(DOCUMENT * 200)
        await eventually(lambda: any(map(is_full, open_connections(server))))
        leap(DEFAULTS.write_timeout - 5)
        for connection in open_connections(server):
            connection.check_deadlines(now())
            assert not connection.transport.is_closing()
        async with asyncio.timeout(AGES):  # the kernel would give it up after 30 s (TCP_USER_TIMEOUT)
            while open_connections(server):
                leap(DEFAULTS.write_timeout / 2)  # twice, unless the kernel took some more meanwhile
                await asyncio.sleep(0.1)


async def test_slow_client_is_not_closed(server: Live) -> None:
    async with await connect(server, receive_buffer=4096) as client:
        client.writer.write(DOCUMENT * 200)
        await eventually(lambda: any(map(is_full, open_connections(server))))
        for _ in range(5):
            leap(DEFAULTS.write_timeout / 2)
            unsent = open_connections(server)[0].transport.get_write_buffer_size()
            while open_connections(server)[0].transport.get_write_buffer_size() == unsent:
                await client.reader.read(4096)
        assert open_connections(server)


async def test_the_start_of_a_next_request_waits_for_the_answer_to_the_last(
    hasty: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = hasty.service.store
    span = store.span

    async def slow() -> Span:
        await asyncio.sleep(2 * DEADLINE)
        return await span()

    await hasty.publish()
    monkeypatch.setattr(store, "span", slow)
    async with await connect(hasty) as client:
        client.writer.write(STREAM.replace(b"stream", b"stream?since=1") + REQUEST[:8])
        await client.head()
        assert len(await client.prices(1)) == 1


async def test_a_stream_begins_after_what_was_asked_for_before_it(server: Live) -> None:
    """However much of that is still with the server, for a client that doesn't read: the kernel holds some answers."""
    price = await server.publish()
    clients = [await connect(server, receive_buffer=4096) for _ in range(24)]
    for number, client in enumerate(clients):
        client.writer.write(number * DOCUMENT + STREAM)
    await eventually(lambda: len(server.hub) >= 1)
    await eventually(lambda: any(map(is_full, server.server.server_state.connections)))
    for number, client in enumerate(clients):
        for _ in range(number):
            assert (await asyncio.wait_for(answer(client), 30))[0] == 200
        assert (await client.head())["content-type"].startswith("text/event-stream")
        assert await client.prices(1) == [price]
        client.close()


def is_full(connection: Any) -> bool:
    """Whether bytes wait in the server because the kernel takes no more."""
    return bool(connection.transport.get_write_buffer_size())


async def test_what_is_asked_for_after_a_stream_does_not_disturb_it(
    server: Live, caplog: pytest.LogCaptureFixture
) -> None:
    price = await server.publish()
    async with await connect(server) as client:
        client.writer.write(STREAM + REQUEST)
        await client.head()
        fresh = await server.publish()
        assert await client.prices(2) == [price, fresh]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_while_the_store_takes_its_time_the_status_is_there_and_who_goes_leaves_nothing(
    server: Live, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await server.publish()
    looked, go_on = asyncio.Event(), asyncio.Event()
    store = server.service.store
    span = store.span

    async def slow() -> Span:
        looked.set()
        await go_on.wait()
        return await span()

    monkeypatch.setattr(store, "span", slow)
    before = connections()
    client = await connect(server)
    client.writer.write(b"GET /prices/stream?since=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    await looked.wait()
    assert (await client.head())["content-type"].startswith("text/event-stream")
    status = await client.event()
    assert (status.name, bool(status.retry)) == ("status", True)
    reset(client)
    await eventually(lambda: not server.server.server_state.connections)
    go_on.set()
    await eventually(lambda: not server.server.server_state.tasks)
    assert len(server.hub) == 0
    await eventually(lambda: connections() == before)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"\0",
        request("/healthz"),
        request("/prices/stream"),
        request("/prices/stream?since=1"),
        request("/prices/next?after=9007199254740991"),
        request("/openapi.json") * 100,
        request("/prices/stream") * 3,
        request("/openapi.json") * 3 + b"\0",
    ],
)
async def test_a_client_that_has_left_is_forgotten_without_the_garbage_collector(
    server: Live, sent: bytes
) -> None:
    await server.publish()
    gc.collect()
    gc.disable()
    try:
        client = await connect(server)
        client.writer.write(sent)
        await eventually(lambda: server.server.server_state.connections)
        for _ in range(10):
            await asyncio.sleep(0)
        reset(client)
        await eventually(
            lambda: (
                not any(isinstance(thing, (Connection, RequestResponseCycle)) for thing in gc.get_objects())
            )
        )
    finally:
        gc.enable()


async def test_of_two_positions_in_one_request_the_first_counts(server: Live) -> None:
    ids = [await server.publish() for _ in range(3)]
    async with await connect(server) as client:
        fields = "".join(f"Last-Event-ID: {tick_id}\r\n" for tick_id in ids[:2])
        client.writer.write(f"GET /prices/stream HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
        await client.head()
        assert await client.prices(2) == ids[1:]


async def test_responses_are_dated_when_they_are_made(server: Live) -> None:
    async with await connect(server) as client:
        first = (await dated(client)).timestamp()
        assert abs(first - time.time()) < 60
        while (await dated(client)).timestamp() == first:
            await asyncio.sleep(0.1)


async def dated(client: Client) -> datetime:
    client.writer.write(REQUEST)
    await answer(client)
    return parsedate_to_datetime(client.headers["date"])


async def test_a_reset_leaves_no_keep_alive_timer_and_no_connection() -> None:
    before = connections()
    async with live(keep_alive=3600) as server:  # a timer that is left would hold its connection
        for _ in range(20):
            client = await Client.get(server.port, "/healthz")
            await client.body()
            reset(client)
        await eventually(lambda: connections() == before)


def reset(client: Client) -> None:
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.writer.transport.abort()


async def test_silence_and_half_a_request_leave_no_connection_either(server: Live) -> None:
    before = connections()
    clients = [await connect(server) for _ in range(10)]
    for client in clients[::2]:
        client.writer.write(b"GET / HT")
    await eventually(lambda: connections() == before + 10)
    for connection in open_connections(server):
        connection._due = 0.0  # its time is over
    del connection
    for client in clients:
        await closed(client)
        client.close()
    await eventually(lambda: connections() == before)


def test_an_address_in_use_is_refused_and_nothing_is_left_open() -> None:
    first = listen("127.0.0.1", 0)
    port = first[0].getsockname()[1]
    with pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", port)
    first[0].close()
    for again in listen("127.0.0.1", port):
        again.close()


def test_an_address_that_this_machine_lacks_is_left_out_where_another_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))
    lacking = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("203.0.113.1", 0))  # of a block for documentation
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [lacking, there])
    (listener,) = listen("localhost", 0)
    with listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [lacking])
    with pytest.raises(OSError, match="not an address of this machine"):
        listen("localhost", 0)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_every_address_of_ipv6_is_every_address() -> None:
    (listener,) = listen("::", 0)
    with listener, socket.create_connection(("127.0.0.1", listener.getsockname()[1])):
        pass


async def test_a_turn_of_the_loop_takes_in_several_of_a_crowd(server: Live) -> None:
    with contextlib.ExitStack() as crowd:
        for _ in range(40):  # they wait in the kernel while this goes on without a pause
            crowd.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        connections, turns, had = server.server.server_state.connections, 0, 0
        while had < 40:
            await asyncio.sleep(0)
            turns += len(connections) > had  # not those in which the kernel had none to give
            had = len(connections)
        assert turns <= 20


def test_what_one_client_may_hold_is_bounded_in_memory_and_time() -> None:
    (listener,) = listen("127.0.0.1", 0)
    with listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * server_module.SEND_BUFFER
            assert (
                accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 2 * server_module.RECEIVE_BUFFER
            )
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def test_uvicorn_still_has_the_private_parts_that_a_connection_relies_on(server: Live) -> None:
    """If this fails after an upgrade of uvicorn, read web/server/connection.py anew before anything else."""
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    ours = {*vars(Connection), *vars(Incoming)}
    overridden = ours & set(vars(HttpToolsProtocol))
    assert overridden >= {
        "connection_made",
        "connection_lost",
        "data_received",
        "eof_received",
        "on_headers_complete",
        "on_message_begin",
        "on_message_complete",
        "on_response_complete",
        "_start_asgi_task",
    }
    assert callable(HttpToolsProtocol._unset_keepalive_if_required)
    async with await Client.get(server.port, "/healthz") as client:
        await client.body()
        (connection,) = server.server.server_state.connections
        assert isinstance(connection, Connection)
        assert isinstance(connection.cycle, RequestResponseCycle)
        assert connection.cycle.response_complete
        assert {
            "transport",
            "disconnected",
            "response_started",
            "chunked_encoding",
            "expected_content_length",
        } <= set(vars(connection.cycle))
        plain = HttpToolsProtocol(connection.config, connection.server_state, connection.app_state)
        before = dict(vars(plain))
        plain.connection_made(connection.transport)
        connection.connections.discard(plain)
        made = {name: value for name, value in vars(plain).items() if value is not before[name]}
        assert made.keys() == {"transport", "flow", "scheme", "server", "client"}
        assert type(made.pop("flow")) is type(connection.flow)
        assert made.pop("server")  # left out
        assert made == {name: getattr(connection, name) for name in made}
        assert (connection.url, connection.scope["headers"]) == (b"/healthz", [(b"host", b"localhost")])
        assert connection.transport.get_extra_info("socket").fileno() >= 0
        assert connection.timeout_keep_alive_task is not None
        assert connection.scope["extensions"].keys() == {DETACHABLE}
