"""Servers that publish 200 prices a second until they are killed, each forked from here: run by test_kill.py.

This process has imported everything already, so that a hundred of them take seconds to start. Each line on stdin is one
server's options as JSON; it is answered with its process id and its port, and with a second line once it is dead.
"""

import asyncio
import os
import sys
from typing import Any, NoReturn

import msgspec
import uvloop

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.telemetry import logs
from live import live

PERIOD = 0.005  # seconds between prices


class SlowClock(SystemClock):
    """A clock that was set back."""

    def __init__(self, behind: int) -> None:
        self._behind = behind  # ms

    def now(self) -> int:
        return super().now() - self._behind


async def publish(behind: int, **options: Any) -> None:
    async with live(SlowClock(behind), **options) as server:
        say(f"{os.getpid()} {server.port}")
        number = 0
        while True:
            await server.publish(f"{69_000 + number % 1000}.{number % 100:02}")
            await asyncio.sleep(PERIOD)
            number += 1


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def serve(options: dict[str, Any]) -> NoReturn:
    logs.configure("error", "json")  # whose thread would not survive the fork
    uvloop.run(publish(**options))
    os._exit(0)


if __name__ == "__main__":
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            serve(msgspec.json.decode(line))
        os.waitpid(child, 0)
        say("dead")
