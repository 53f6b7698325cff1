"""The servers that are measured, and how each is started with a price every so many seconds."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from machine import LOAD_CPU, started

HERE = Path(__file__).parent
SOURCES = ("coinbase", "kraken", "binanceus")
DEFAULT_SOURCES = ("coingecko", "coinpaprika", "coinbase", "kraken", "bitstamp", "gemini")

LIMITS = ("MAX_CLIENTS", "MAX_CLIENTS_PER_IP", "CONNECT_RATE", "CONNECT_RATE_PER_IP", "REQUEST_RATE_PER_IP")
UNLIMITED = dict.fromkeys(LIMITS, "0")


@dataclass(frozen=True)
class Subject:
    """A server; `{port}` and `{interval}` in its words are filled in when it is started."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    path: str = "/prices/stream"

    def started_with(self, port: int, interval: int) -> tuple[list[str], dict[str, str]]:
        """Its command and its environment."""
        words = {"port": port, "interval": interval}
        return (
            [word.format(**words) for word in self.command],
            {name: value.format(**words) for name, value in self.env.items()},
        )


def ours(exchange: int) -> Subject:
    """Our server as it is, asking three sources for every price, with no limit on clients."""
    return Subject(
        "btc-price-tracker",
        [*program(), "serve"],
        {
            "PORT": "{port}",
            "INTERVAL": "{interval}",
            "STORE_URL": "memory://",
            "SOURCES": ",".join(SOURCES),
            "HEARTBEAT": "3600",  # idle streams are to be idle
            **UNLIMITED,
            **source_urls(exchange, SOURCES),
        },
    )


def ours_by_default(exchange: int, folder: Path) -> Subject:
    """Our server with its default settings, its history in a folder of our own."""
    return Subject(
        "btc-price-tracker",
        [*program(), "serve"],
        {
            "PORT": "{port}",
            "INTERVAL": "{interval}",
            "STORE_URL": f"sqlite:///{folder}/prices.db",
            **UNLIMITED,  # all clients of a benchmark have one address
            **source_urls(exchange, DEFAULT_SOURCES),
        },
    )


def floor(binary: Path) -> Subject:
    return Subject("C floor", [str(binary), "{port}", "{interval}"])


def rival() -> Subject:
    script = str(HERE / "rival_sse_starlette.py")
    return Subject("Starlette + sse-starlette", [sys.executable, script, "{port}", "{interval}"])


def program() -> list[str]:
    """Our console script, as installed beside this Python."""
    return [str(Path(sys.executable).with_name("btc-price-tracker"))]


def source_urls(exchange: int, sources: Sequence[str]) -> dict[str, str]:
    return {f"{name.upper()}_URL": f"http://127.0.0.1:{exchange}/{name}" for name in sources}


@asynccontextmanager
async def running_exchange() -> AsyncIterator[int]:
    """The port on which exchanges answer."""
    async with started([sys.executable, HERE / "exchange.py"], LOAD_CPU) as exchange:
        yield int(await exchange.output.readline())
