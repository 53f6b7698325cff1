"""schemathesis against a real server with prices: no server error, and nothing that /openapi.json does not say."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Update
from btc_price_tracker.web.api import following
from live import Live, a_tick, live

EXAMPLES = int(os.environ.get("API_EXAMPLES", "10"))  # for each operation; 800 make more than 10,000 in all
SECONDS = 180 + EXAMPLES * 10  # at most, on a busy machine
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
PRICES = 300  # of the last two hours
QUOTES = (
    AssessedQuote("kraken", Kind.EXCHANGE, Decimal("69420.10"), price=Decimal("69420.1"), used=True),
    AssessedQuote("coinbase", Kind.EXCHANGE, reason="HTTP 503"),
)


async def publish(server: Live) -> None:
    """A price now and then, so that whoever waits for the next one has it soon."""
    while True:
        await server.publish()
        await asyncio.sleep(0.5)


async def end_streams(server: Live) -> None:
    """End each stream soon after its start: what asks for one reads to its end."""
    while True:
        for stream in server.hub.streams:
            server.hub.end(stream, server.hub.final_retry())
        await asyncio.sleep(0.02)


@asynccontextmanager
async def meanwhile(*activities: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in activities]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def schemathesis(url: str, folder: Path) -> tuple[int, str]:
    """Run all checks; the exit code and the report."""
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"),
        *("--config-file", CONFIGURATION, "run", f"{url}/openapi.json"),
        *("--checks", "all", "--max-examples", str(EXAMPLES), "--continue-on-failure", "--no-shrink"),
        cwd=folder,
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.timeout(SECONDS)
async def test_api_does_what_its_description_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following.install, "__defaults__", (0.01,))  # seconds that a client waits
    async with live(max_clients=0) as server:
        first = server.clock.now() - 7_200_000
        for number in range(PRICES):
            await server.service.outbox.keep(replace(a_tick(first + number * 24_000), quotes=QUOTES))
        await server.term.publish(Update(Status.OK, "Two sources agree.", None, QUOTES))
        async with meanwhile(publish(server), end_streams(server)):
            code, report = await schemathesis(server.url, tmp_path)
    assert code == 0, report
    generated = re.search(r"(\d[\d,]*) generated", report)
    assert generated, report
    assert int(generated[1].replace(",", "")) > 12.5 * EXAMPLES, report
