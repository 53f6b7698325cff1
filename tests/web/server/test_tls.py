"""HTTPS in process does what HTTP does: the same bytes, deadlines, limits and ends."""

import asyncio
import contextlib
import gc
import json
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.server.limits import DEFAULTS, ConnectionLimits
from btc_price_tracker.web.server.tls import TlsTransport
from certificates import CertificateFiles, make_certificate
from live import Client, Live, live
from timeouts import leap

AGES = 20.0  # seconds
DEADLINE = 0.4  # seconds, in place of ten
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
DOCUMENT = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMITS = ConnectionLimits(head_timeout=60, half_closed_timeout=60, check_interval=0.05)
HASTY = ConnectionLimits(head_timeout=DEADLINE, check_interval=0.05)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def server(files: CertificateFiles) -> AsyncIterator[Live]:
    async with live(limits=LIMITS, tls_cert=files.certificate, tls_key=files.key) as server:
        yield server


@pytest.fixture
async def hasty(files: CertificateFiles) -> AsyncIterator[Live]:
    async with live(limits=HASTY, tls_cert=files.certificate, tls_key=files.key, keep_alive=1) as server:
        yield server


class Peer:
    """A client that does TLS by hand, so that it can end each side of each layer when it likes."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
    ) -> None:
        self.reader, self.writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")

    @classmethod
    async def connect(cls, server: Live, files: CertificateFiles) -> "Peer":
        self = cls(*await asyncio.open_connection("127.0.0.1", server.port), files.client_context())
        while not await self._try(self._tls.do_handshake):
            pass
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def _try(self, step: object) -> bool:
        assert callable(step)
        try:
            step()
        except ssl.SSLWantReadError:
            await self._flush()
            self._incoming.write(await self.reader.read(65536))
            return False
        await self._flush()
        return True

    async def _flush(self) -> None:
        self.writer.write(self._outgoing.read())
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        self._tls.write(data)
        await self._flush()

    async def end(self) -> None:
        """Send close_notify."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        await self._flush()

    async def read(self) -> bytes:
        """Everything until the server's close_notify."""
        data = b""
        async with asyncio.timeout(AGES):
            while True:
                try:
                    piece = self._tls.read(65536)
                except ssl.SSLWantReadError:
                    if not (received := await self.reader.read(65536)):
                        raise EOFError("truncated: no close_notify") from None
                    self._incoming.write(received)
                except ssl.SSLZeroReturnError:
                    return data
                else:
                    if not piece:
                        return data
                    data += piece


def connections(server: Live) -> int:
    return len(server.server.server_state.connections)


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes."""
    data = b""
    async with asyncio.timeout(AGES):
        with contextlib.suppress(ConnectionResetError):
            while piece := await reader.read(65536):
                data += piece
    return data


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_handshake_agrees_on_http_1_1(
    server: Live, files: CertificateFiles, version: ssl.TLSVersion
) -> None:
    context = files.client_context()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with await Client.get_tls(context, server.port, "/healthz") as client:
        assert client.status == 200
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        assert client.headers["strict-transport-security"] == "max-age=2592000"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_1_1_is_refused(server: Live, files: CertificateFiles) -> None:
    context = files.client_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        await Client.get_tls(context, server.port, "/healthz")
    await eventually(lambda: not connections(server))


async def test_stream_has_the_bytes_that_it_has_without_tls(files: CertificateFiles) -> None:
    bodies, began = [], SystemClock().now()
    for tls in (None, files.client_context()):
        settings: dict[str, Any] = {"tls_cert": files.certificate, "tls_key": files.key} if tls else {}
        clock = ManualClock(began)
        async with live(clock, **settings) as server:
            for _ in range(3):
                await server.publish()
                clock.step(1)
            async with await Client.get_tls(tls, server.port, "/prices/stream?since=1") as client:
                await client.prices(3)
                await server.publish("70000.01")
                await client.prices(1)
                await server.hub.drain(0)
                while not client.ended:
                    await client._more()
                bodies.append(re.sub(rb"retry: \d+", b"retry: N", client.raw))
    plain, encrypted = bodies
    assert encrypted == plain
    assert plain.count(b"\ndata: ") >= 4


async def test_stream_head_has_what_it_has_without_tls_and_hsts(
    server: Live, files: CertificateFiles
) -> None:
    async with live() as plain, await Client.get(plain.port, "/prices/stream") as client:
        names = client.headers.keys()
    async with await Client.get_tls(files.client_context(), server.port, "/prices/stream") as client:
        assert client.headers.keys() == names | {"strict-transport-security"}


async def test_refused_client_that_goes_on_sending_reads_why(server: Live, files: CertificateFiles) -> None:
    async with await Peer.connect(server, files) as peer:
        for _ in range(3):
            await peer.send(b"hello\r\n\r\n")
            await asyncio.sleep(0.01)
        answer = await peer.read()
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"strict-transport-security" in answer.lower()
        await peer.send(b"more")
        assert connections(server) == 1
        peer.writer.close()
        await eventually(lambda: not connections(server))


async def test_refused_client_that_stays_is_closed(hasty: Live, files: CertificateFiles) -> None:
    async with await Peer.connect(hasty, files) as peer:
        await peer.send(b"hello\r\n\r\n")
        assert (await peer.read()).startswith(b"HTTP/1.1 400 ")
        await eventually(lambda: not connections(hasty))


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"], ids=["silent", "byte", "cut"])
async def test_handshake_that_does_not_end_is_closed_at_the_deadline(hasty: Live, data: bytes) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty.port)
    writer.write(data)
    await eventually(lambda: connections(hasty) == 1)  # counts from the start towards every limit
    await closed(reader)
    assert loop.time() - began >= DEADLINE * 0.9
    writer.close()


@pytest.mark.parametrize("request_", [b"", REQUEST[:9]], ids=["handshake only", "half a head"])
async def test_head_is_due_at_the_same_deadline(
    hasty: Live, files: CertificateFiles, request_: bytes
) -> None:
    async with await Peer.connect(hasty, files) as peer:
        if request_:
            await peer.send(request_)
        assert await peer.read() == b""


@pytest.mark.parametrize("layer", ["tls", "tcp"])
async def test_half_closed_client_gets_every_response(
    server: Live, files: CertificateFiles, layer: str
) -> None:
    async with await Peer.connect(server, files) as peer:
        await peer.send(REQUEST * 3)
        if layer == "tls":
            await peer.end()
        else:
            peer.writer.write_eof()
        assert (await peer.read()).count(b"HTTP/1.1 200 OK") == 3
        await eventually(lambda: not connections(server))


@pytest.mark.parametrize("layer", ["tls", "tcp"])
async def test_half_closed_stream_counts_as_disconnected(
    server: Live, files: CertificateFiles, layer: str
) -> None:
    async with await Peer.connect(server, files) as peer:
        await peer.send(REQUEST.replace(b"/healthz", b"/prices/stream"))
        await eventually(lambda: len(server.hub) == 1)
        if layer == "tls":
            await peer.end()
        else:
            peer.writer.write_eof()
        await eventually(lambda: not len(server.hub) and not connections(server))


async def test_data_after_the_end_of_the_client_is_ignored(server: Live, files: CertificateFiles) -> None:
    async with await Peer.connect(server, files) as peer:
        await peer.send(REQUEST)
        await peer.end()
        with contextlib.suppress(ConnectionError):
            for _ in range(10):
                peer.writer.write(b"x" * 65536)
                await peer.writer.drain()
        await eventually(lambda: not connections(server))


async def test_garbage_within_tls_ends_the_connection_without_a_traceback(
    server: Live, files: CertificateFiles, caplog: pytest.LogCaptureFixture
) -> None:
    async with await Peer.connect(server, files) as peer:
        await peer.send(REQUEST.replace(b"/healthz", b"/prices/stream"))
        await eventually(lambda: len(server.hub) == 1)
        peer.writer.write(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        await closed(peer.reader)
        await eventually(lambda: not len(server.hub) and not connections(server))
        assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


async def test_client_that_reads_nothing_is_closed(server: Live, files: CertificateFiles) -> None:
    async with await Peer.connect(server, files) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined] # it is a reading one as well
        await peer.send(DOCUMENT * 200)
        every = server.server.server_state.connections
        await eventually(lambda: any(each.transport.get_write_buffer_size() for each in every))
        async with asyncio.timeout(AGES):
            while connections(server):
                leap(DEFAULTS.write_timeout / 2)
                await asyncio.sleep(0.1)


async def test_streams_are_drained_as_without_tls(server: Live, files: CertificateFiles) -> None:
    await server.publish()
    async with await Peer.connect(server, files) as peer:
        await peer.send(REQUEST.replace(b"/healthz", b"/prices/stream"))
        await eventually(lambda: len(server.hub) == 1)
        await server.hub.drain(0)
        server.server.stop()
        answer = await peer.read()  # to its close_notify
        assert answer.endswith(b"\r\n0\r\n\r\n")
        assert answer.count(b"retry: ") == 2


async def test_http_on_the_https_port_is_told_so(server: Live) -> None:
    with capture_logs() as lines:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(REQUEST)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"strict-transport-security" not in head.lower()  # RFC 6797, 7.2
    assert "https://" in json.loads(body)["detail"]
    assert [line["event"] for line in lines] == ["HTTP without TLS on the HTTPS port"]
    await eventually(lambda: not connections(server))


async def test_tls_on_the_http_port_is_closed_with_a_line_in_the_log(files: CertificateFiles) -> None:
    async with live(limits=LIMITS) as server:
        with capture_logs() as lines, pytest.raises(ssl.SSLError):
            await Client.get_tls(files.client_context(), server.port, "/healthz")
        await eventually(lambda: not connections(server))
    assert [(line["event"], line["log_level"]) for line in lines] == [("TLS on the HTTP port", "info")]


async def test_client_that_does_not_trust_us_leaves_no_trace_but_at_debug(server: Live) -> None:
    with capture_logs() as lines, pytest.raises(ssl.SSLError):
        await Client.get_tls(ssl.create_default_context(), server.port, "/healthz")
    await eventually(lambda: not connections(server))
    assert {line["log_level"] for line in lines} <= {"debug"}


@pytest.mark.parametrize("path", ["/healthz", "/prices/stream", "/prices/stream?since=1"])
async def test_connection_is_forgotten_without_the_garbage_collector(
    server: Live, files: CertificateFiles, path: str
) -> None:
    await server.publish()
    gc.collect()
    gc.disable()
    try:
        async with await Client.get_tls(files.client_context(), server.port, path):
            pass
        await eventually(lambda: not any(isinstance(thing, TlsTransport) for thing in gc.get_objects()))
    finally:
        gc.enable()


async def test_new_connections_have_the_renewed_certificate_and_streams_stay(tmp_path: Path) -> None:
    files = make_certificate(tmp_path / "old")
    trusting_old = files.client_context()
    async with live(limits=LIMITS, tls_cert=files.certificate, tls_key=files.key) as server:
        stream = await Client.get_tls(trusting_old, server.port, "/prices/stream")
        renewed = make_certificate(tmp_path / "new", algorithm="RSA", days=60)
        renewed.install(files)
        async with asyncio.timeout(AGES):
            while not await is_accepted(server, renewed.client_context()):
                await asyncio.sleep(0.05)
        assert not await is_accepted(server, trusting_old)
        fresh = await server.publish()
        assert await stream.prices(1) == [fresh]
        stream.close()


async def is_accepted(server: Live, context: ssl.SSLContext) -> bool:
    try:
        async with await Client.get_tls(context, server.port, "/healthz") as client:
            return client.status == 200
    except ssl.SSLError:
        return False


@contextlib.asynccontextmanager
async def passed_on(server: Live, files: CertificateFiles, *preface: bytes) -> AsyncIterator[Client]:
    """A stream through a proxy that sends a PROXY protocol header in these pieces, then passes TLS on."""
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
    async with client:
        for piece in preface:
            client.writer.write(piece)
            await asyncio.sleep(0.005 if len(preface) > 1 else 0)
        await client.writer.start_tls(files.client_context(), server_hostname="localhost")
        client.writer.write(b"GET /prices/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await client.head()
        yield client


@pytest.mark.parametrize("version", [1, 2])
async def test_proxy_that_passes_tls_on_introduces_the_client(files: CertificateFiles, version: int) -> None:
    def preface(last: int) -> bytes:
        if version == 1:
            return f"PROXY TCP4 192.0.2.{last} 10.0.0.1 4711 443\r\n".encode()
        addresses = bytes([192, 0, 2, last, 10, 0, 0, 1, 18, 103, 1, 187])
        return b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + addresses

    async with (
        live(tls_cert=files.certificate, tls_key=files.key, max_clients_per_ip=1) as server,
        passed_on(server, files, preface(1)[:9], preface(1)[9:]) as first,
        passed_on(server, files, preface(1)) as second,
        passed_on(server, files, preface(2)) as other,
        passed_on(server, files) as proxy,
    ):
        assert [client.status for client in (first, second, other, proxy)] == [200, 429, 200, 200]


async def test_invalid_preface_before_tls_ends_the_connection(server: Live, files: CertificateFiles) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with passed_on(server, files, b"PROXY nonsense\r\n"):
            pass
    assert server.service.peers.refused.counts["preface"] == 1


async def test_broken_renewal_keeps_the_old_certificate(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    trusting = files.client_context()
    async with live(limits=LIMITS, tls_cert=files.certificate, tls_key=files.key) as server:
        with capture_logs() as lines:
            files.key.write_text("-----BEGIN")
            await eventually(lambda: any(line["log_level"] == "error" for line in lines))
        (line,) = lines
        assert line["event"] == "certificate not reloaded"
        assert str(files.key) in line["reason"]
        assert await is_accepted(server, trusting)


async def test_metric_tells_when_the_certificate_expires(server: Live, files: CertificateFiles) -> None:
    async with await Client.get_tls(files.client_context(), server.port, "/metrics") as client:
        text = (await client.body()).decode()
    (value,) = re.findall(r"^btc_tls_certificate_expiry_timestamp_seconds (\S+)$", text, re.MULTILINE)
    assert 29 < (float(value) - server.clock.now() / 1000) / 86400 <= 30


async def test_nothing_of_tls_is_said_without_it() -> None:
    async with live() as server, await Client.get(server.port, "/metrics") as client:
        assert "strict-transport-security" not in client.headers
        assert b"\nbtc_tls" not in await client.body()
