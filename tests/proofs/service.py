"""A server in a process of its own that publishes and counts on command: run by `process.Service`.

Takes its options as JSON in the one argument, says its port, then answers each line on stdin with one line of JSON.
"""

import asyncio
import gc
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from btc_price_tracker.telemetry import logs
from btc_price_tracker.web.server.limits import ConnectionLimits
from live import Live, live

OURS = ("Socket", "Mailbox", "Lag", "PriceStream", "DetachableResponse", "Connection")
UVICORNS = ("RequestResponseCycle", "TimerHandle", "Task", "TCPTransport")


async def publish(server: Live, count: int, period: float) -> dict[str, Any]:
    """So many prices, one each `period` seconds; what a busy moment holds up is caught up with."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    ids = []
    for number in range(count):
        ids.append(await server.publish())
        await asyncio.sleep(max(started + number * period - loop.time(), 0))
    return {"ids": ids, "seconds": loop.time() - started}


async def census(server: Live) -> dict[str, int]:
    """What there is in this process, once garbage is collected."""
    gc.collect()
    kinds = Counter(type(thing).__name__ for thing in gc.get_objects())
    state = server.server.server_state
    return {
        **{name: kinds[name] for name in (*OURS, *UVICORNS)},
        "streams": len(server.hub),
        "connections": len(state.connections),
        "tasks": len(state.tasks),
        "files": open_files(),
        "kilobytes": resident_kilobytes(),
    }


def open_files() -> int:
    """How many; -1 where none is left to count them with."""
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        return -1


def resident_kilobytes() -> int:
    """What the process takes; -1 where there is no descriptor to find out with."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4
    except OSError:
        return -1


async def answer(server: Live, words: list[str]) -> Any:
    match words:
        case ["publish", count, period]:
            return await publish(server, int(count), float(period))
        case ["census"]:
            return await census(server)
    raise ValueError(words)


def say(thing: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(thing) + b"\n")
    sys.stdout.flush()


async def main(options: dict[str, Any]) -> None:
    endless = options.pop("endless", 0)  # seconds between prices that nobody need ask for; 0 for none
    options["limits"] = ConnectionLimits(**options.pop("connection_limits", {}))
    async with live(**options) as server, asyncio.TaskGroup() as tasks:
        publishing = tasks.create_task(publish(server, sys.maxsize if endless else 0, endless))
        say(server.port)
        while line := await asyncio.to_thread(sys.stdin.readline):
            say(await answer(server, line.split()))
        publishing.cancel()


if __name__ == "__main__":
    logs.configure("error", "json")
    uvloop.run(main(msgspec.json.decode(sys.argv[1])))
