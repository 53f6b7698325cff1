"""A canary for each secret: none appears in the log, a response, a trace, or on the command line.

Whatever may repeat one does: the source and, in one of the runs, the store and the broker send back what they get.
"""

import asyncio
import contextlib
import re
import sys
from asyncio.subprocess import PIPE
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from btc_price_tracker.access.scopes import ALL
from btc_price_tracker.access.token_file import changing
from command import environment_of, run
from ports import free_port
from telemetry.otlp import receiving
from tokens import token

PLAIN, NAMED, METRICS, KEY = "pl7QzKw/1xVb~", "nm4RtYe2uGhWs", "mt9BxLc5dNvKj", "CG-fH3sPq8TzMwX"
STORE, BROKER = "st6@Jy:WkRdZq", "br8@Xv/LnCpTg"  # percent-encoded in their URLs
SECRETS = (PLAIN, NAMED, METRICS, KEY, STORE, BROKER)
PIECE = 8  # characters of a secret that nothing may contain
PATIENCE = 150  # seconds

STORES = {
    "postgresql": "postgresql://user:{password}@127.0.0.1:{port}/prices",
    "mongodb": "mongodb://user:{password}@127.0.0.1:{port}/prices?serverSelectionTimeoutMS=500",
}
BROKERS = {
    "redis": "redis://user:{password}@127.0.0.1:{port}/0",
    "nats": "nats://user:{password}@127.0.0.1:{port}",
    "kafka": "kafka://user:{password}@127.0.0.1:{port}",
}


def traces_of(secret: str) -> set[bytes]:
    """Pieces of a secret as it may be written: as it is, percent-encoded, in base64."""
    forms = {secret, quote(secret), quote(secret, safe=""), b64encode(secret.encode()).decode()}
    return {form[at : at + PIECE].encode() for form in forms for at in range(len(form) - PIECE + 1)}


CANARIES = {piece: secret for secret in SECRETS for piece in traces_of(secret)}


def leaks(text: bytes) -> set[str]:
    """The pieces of secrets in a text, each with what surrounds it."""
    return {
        f"{secret}: …{text[max(at.start() - 200, 0) : at.end() + 60].decode(errors='replace')}…"
        for piece, secret in CANARIES.items()
        for at in list(re.finditer(re.escape(piece), text))[:1]
    }


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """A server that sends back what it gets; returns its port."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def repeating_source() -> AsyncIterator[str]:
    """A source that puts the key that it is sent into its error; returns its base URL."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"x-cg-"))
            body = b'{"status": {"error_code": 10002, "error_message": "wrong: %s"}}' % key
            writer.write(b"HTTP/1.1 401 Bad key\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def requests() -> list[bytes]:
    """Requests with a token that are right, wrong in each part, and malformed."""
    targets = [
        "/", "/healthz", "/readyz", "/sources", "/metrics", "/docs", "/openapi.json", "/nothing", "/prices/x", "//",
        "/prices?limit=1", "/prices?limit=x", "/prices?wrong=1", "/prices/latest", "/prices/next?after=x", "/prices/1",
        "/prices/hours/x", "/prices/candles?interval=1m", "/prices/stream?since=x", "/prices/stream?wrong=1", "/%ff",
    ]  # fmt: skip
    made = []
    for secret in (PLAIN, NAMED, METRICS):
        for target in targets:
            in_query = f"{target}{'&' if '?' in target else '?'}access_token={quote(secret)}"
            made += [f"GET {in_query} HTTP/1.1\r\nHost: h\r\n\r\n"]
            made += [
                f"GET {target} HTTP/1.1\r\nHost: h\r\nOrigin: http://o\r\nAuthorization: Bearer {secret}\r\n\r\n"
            ]
        query = f"/prices/latest?access_token={secret}"
        made += [
            f"POST {query} HTTP/1.1\r\nHost: h\r\n\r\n",
            f"GET {query} HTTP/9.9\r\nHost: h\r\n\r\n",
            f"GET {query}\r\n\r\n",
            f"GET {query} HTTP/1.1\r\n\r\n",
            f"GET {query} HTTP/1.1\r\nHost: h\r\nbad header\r\n\r\n",
            f"GET {query} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            f"GET {query} HTTP/1.1\r\nHost: h\r\nX: {'x' * 100_000}\r\n\r\n",
            f"GET {query} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {secret} more\r\n\r\n",
            f"GET {query} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {secret}\r\n\r\n",
            f"GET /prices/latest?token={secret}x&access_token={secret}x HTTP/1.1\r\nHost: h\r\n\r\n",
            f"GET /prices/latest?access_token={secret}&access%5Ftoken={secret} HTTP/1.1\r\nHost: h\r\n\r\n",
            f"GET /prices/latest?;access_token={secret} HTTP/1.1\r\nHost: h\r\n\r\n",
            f"CONNECT h?access_token={secret} HTTP/1.1\r\nHost: h\r\n\r\n",
        ]
    return [request.encode() for request in made]


async def answer(port: int, request: bytes) -> bytes:
    """Everything that comes until the response is complete, or a second passes without any."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    with contextlib.suppress(TimeoutError, OSError):
        writer.write(request)
        while data := await asyncio.wait_for(reader.read(2**20), 1):
            received += data
            head, _, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if body.endswith(b"\r\n0\r\n\r\n") or (length and len(body) >= int(length[1])):
                break
    writer.transport.abort()
    return received


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run has shown to whom."""

    responses: list[bytes]
    command_line: bytes
    log: bytes


async def serve(settings: dict[str, str]) -> Seen:
    """Run a server, ask it for everything, and end it."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "btc_price_tracker", "serve", "--port", str(port),
        env=environment_of(**settings), stdout=PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    log = asyncio.create_task(process.stdout.read())
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        async with asyncio.timeout(PATIENCE):
            while True:
                assert process.returncode is None, await log
                with contextlib.suppress(httpx2.TransportError):
                    await client.get("/healthz")
                    break
                await asyncio.sleep(0.05)
        headers = {"Authorization": f"Bearer {PLAIN}"}
        async with asyncio.timeout(PATIENCE):  # until the sources and the broker have failed
            while "wrong: " not in (await client.get("/sources", headers=headers)).text:
                await asyncio.sleep(0.05)
    limit = asyncio.Semaphore(8)

    async def limited(request: bytes) -> bytes:
        async with limit:
            return await answer(port, request)

    responses = await asyncio.gather(*map(limited, requests()))
    command_line = Path(f"/proc/{process.pid}/cmdline").read_bytes()  # noqa: ASYNC240 - of memory
    process.terminate()
    async with asyncio.timeout(PATIENCE):
        return Seen(responses, command_line, await log)


def settings_of(store: str, broker: str, source: str, ports: tuple[int, int], path: Path) -> dict[str, str]:
    with changing(path) as tokens:
        tokens.append(token("named", NAMED, ALL))
    return {
        "ACCESS_TOKENS": f"other,{PLAIN}",
        "TOKENS_FILE": str(path),
        "METRICS_TOKEN": METRICS,
        "COINGECKO_API_KEY": KEY,
        "COINGECKO_URL": source,
        "SOURCES": "coingecko",
        "POLICY": "fallback",
        "INTERVAL": "1",
        "LOG_LEVEL": "debug",
        "STORE_URL": STORES[store].format(password=quote(STORE, safe=""), port=ports[0]),
        "BROKER_URL": BROKERS[broker].format(password=quote(BROKER, safe=""), port=ports[1]),
    }


@pytest.mark.parametrize(
    ("form", "store", "broker", "is_answered"),
    [
        ("json", "postgresql", "redis", True),
        ("console", "mongodb", "nats", True),
        ("console", "postgresql", "kafka", True),
        ("json", "mongodb", "redis", False),
        ("json", "postgresql", "nats", False),
    ],
)
async def test_no_secret_is_shown(
    form: str,
    store: str,
    broker: str,
    is_answered: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    async with repeating_source() as source, echo() as store_port, echo() as broker_port:
        ports = (store_port, broker_port) if is_answered else (1, 1)
        settings = settings_of(store, broker, source, ports, tmp_path / "tokens") | {"LOG_FORMAT": form}
        with receiving() as receiver:
            tracing = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
            seen = await serve(settings | tracing)
        assert len(receiver.spans) > 50
        assert any(b" 200 " in each.split(b"\r\n")[0] for each in seen.responses)
        assert b"wrong: " in b"".join(seen.responses)  # what the source repeats
        assert b"btc_token_requests_total" in b"".join(seen.responses)
        assert b"debug" in seen.log
        assert not leaks(seen.log)
        assert not leaks(b"".join(seen.responses))
        assert not leaks(seen.command_line)
        assert not leaks(repr(receiver.spans).encode() + repr(receiver.headers).encode())
        for name in ("check", "doctor"):
            result = await asyncio.to_thread(run, name, **settings)
            assert result.stdout + result.stderr
            assert not leaks((result.stdout + result.stderr).encode())


def test_canaries_would_be_found() -> None:
    for secret in SECRETS:
        for form in (secret, quote(secret, safe=""), secret[2:-1]):
            assert leaks(f"a log line with {form} in it".encode())
