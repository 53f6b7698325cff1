"""What a source says, at every place where it comes out: printable and short."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx2
import msgspec
import pytest

from btc_price_tracker.playback import Fault, Playback, Script
from btc_price_tracker.price.model import Quote
from command import environment_of, run
from faults.hostile_server import hostile
from live import Client
from ports import free_port
from telemetry.otlp import receiving

NASTY = "\x1b[2J\x1b]0;t\x07\r\nx\x00\x9b1m\u202e\u2028\u2029\x85\ufeff\x7f\u05d0\u0301\ud83d<b>[red]"
OURS = set("–±·")  # that commands print themselves
HONEST = ("coinbase", "bitstamp", "gemini")
START_TIMEOUT = 60  # seconds on a busy machine


def assert_harmless(text: str) -> None:
    assert "EGen" in text
    assert {sign for sign in text if not (sign.isascii() and sign.isprintable())} <= {"\n", *OURS}
    assert len(max(text.splitlines(), key=len)) < 30_000


@asynccontextmanager
async def nasty_sources() -> AsyncIterator[dict[str, str]]:
    """Three honest ones, and some that say it in different places: the settings to use them."""
    error = msgspec.json.encode({"error": ["EGen" + NASTY.replace("\ud83d", "")]})
    chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nEGen\x1b[2J\r\n"
    header = b"HTTP/1.1 200 OK\r\nContent-Encoding: EGen\x9b1m\x7f\xff\r\nContent-Length: 1\r\n\r\n?"
    script = Script(dict.fromkeys((*HONEST, "kraken"), Quote(Decimal(90_000))))
    async with Playback(script) as playback, hostile(chunk) as okx, hostile(header) as bitfinex:
        playback.faults["kraken"] = Fault(body=error)
        urls = {name: playback.url(name) for name in (*HONEST, "kraken")}
        urls |= {"okx": okx.url, "bitfinex": bitfinex.url}
        yield {
            "SOURCES": ",".join(urls),
            "STORE_URL": "memory://",
            "KRAKEN_URL": urls["kraken"],
            **{f"{name.upper()}_URL": url for name, url in urls.items()},
        }


@pytest.mark.parametrize("command", ["sources", "doctor"])
async def test_commands_print_it_harmlessly(command: str) -> None:
    async with nasty_sources() as environment:
        result = await asyncio.to_thread(run, command, **environment)
    assert_harmless(result.stdout)
    assert not result.stderr


@asynccontextmanager
async def serving(environment: Mapping[str, str]) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "btc_price_tracker", "serve", "--port", str(port)),
        env=environment_of(**environment),
        stderr=PIPE,
    )
    try:
        async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(START_TIMEOUT):
            while True:
                try:
                    if (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                        break
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize("form", ["console", "json"])
async def test_the_server_gives_it_out_harmlessly(form: str) -> None:
    with receiving() as receiver:
        async with nasty_sources() as environment:
            tracing = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "NO_PROXY": "127.0.0.1"}
            async with serving(environment | tracing | {"LOG_FORMAT": form}) as (port, process):
                async with httpx2.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client:
                    latest = (await client.get("/prices/latest")).json()
                    for path in ("/sources", f"/prices/{latest['id']}"):
                        assert_harmless(everything((await client.get(path)).json()))
                    metrics = (await client.get("/metrics")).text
                assert "EGen" not in metrics
                async with await Client.get(port, "/prices/stream?with=sources") as stream:
                    while (event := await stream.event()).name != "sources":
                        pass
                    assert_harmless(everything(event.data))
                    assert b"\r" not in stream.raw
            assert process.stderr is not None
            log = (await process.stderr.read()).decode()
    assert_harmless(log)
    assert log.count("source failed") >= 3
    reasons = [span.reason for span in receiver.named("GET") if span.failed and span.reason]
    assert_harmless("\n".join(reasons))
    assert all("\n" not in reason and len(reason) <= 200 for reason in reasons)


def everything(value: object) -> str:
    """All texts in a JSON value, a line each."""
    if isinstance(value, dict):
        return "\n".join(everything(each) for pair in value.items() for each in pair)
    return "\n".join(map(everything, value)) if isinstance(value, list) else str(value)
