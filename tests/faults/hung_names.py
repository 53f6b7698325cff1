"""A process whose only name server never responds for some names, and a round of sources in it.

Run by test_names.py in a mount namespace of its own; prints the fault of each source, or null, as JSON.
"""

import asyncio
import json
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random

import uvloop

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.http_client.resolver import Resolver
from btc_price_tracker.playback import Playback, Script
from btc_price_tracker.price.model import Answer, Quote
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.connect import connect
from btc_price_tracker.sources.endpoint import open_client
from btc_price_tracker.sources.poller import Poller

QUESTION = 12  # where it begins in a DNS message (RFC 1035 4.1)
HUNG = ("coinbase", "bitstamp", "gemini", "binanceus", "bitfinex", "coingecko")
WELL = ("kraken", "okx")
SECONDS = 4.0  # of a round, less than the system waits for a name server


class NameServer:
    """Resolves *.well.test to this machine; does not respond for other names, or for all while it is down."""

    def __init__(self, address: str) -> None:
        self.is_down = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            message, client = self._socket.recvfrom(4096)
            if not self.is_down and b"\x04well\x04test\x00" in message:
                self._socket.sendto(_answer(message), client)


def _answer(message: bytes) -> bytes:
    end = message.index(b"\x00", QUESTION) + 5
    (kind,) = struct.unpack(">H", message[end - 4 : end - 2])
    record = b"\xc0\x0c" + struct.pack(">HHIH4B", 1, 1, 60, 4, 127, 0, 0, 1) if kind == 1 else b""
    counts = struct.pack(">HHHH", 1, 1 if record else 0, 0, 0)
    return message[:2] + b"\x81\x80" + counts + message[QUESTION:end] + record


def _have_answered(answers: Sequence[Answer], _: int) -> bool:
    return sum(answer.fault is None for answer in answers) >= len(WELL)


async def round_of_sources() -> dict[str, str | None]:
    """Ask sources of which most have names that hang."""
    clock = SystemClock()
    quotes = dict.fromkeys((*WELL, "tether"), Quote(Decimal(90_000)))
    async with Playback(Script(quotes)) as playback, open_client(trust_env=False) as client:
        upstreams = []
        for name in (*HUNG, *WELL):
            host = f"{name}.{'hung' if name in HUNG else 'well'}.test"
            source = replace(SOURCES[name], url=playback.url(name).replace("127.0.0.1", host))
            upstreams.append(connect(source, client, clock, Random(1)))
        poller = Poller(
            sources=upstreams, clock=clock, time_limit=SECONDS, fresh=lambda *_: True, enough=_have_answered
        )
        return {answer.source: answer.fault for answer in await poller.poll()}


async def names_while_the_server_is_down(server: NameServer) -> list[str]:
    """A name that was looked up before."""
    resolver = Resolver()
    await resolver.resolve("kraken.well.test")
    server.is_down = True
    found = [each["host"] for each in await resolver.resolve("kraken.well.test")]
    await resolver.close()
    return found


async def main() -> None:
    """Print what comes of both."""
    server = NameServer(sys.argv[1])
    faults = await round_of_sources()
    print(json.dumps({"faults": faults, "names": await names_while_the_server_is_down(server)}))  # noqa: T201


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
