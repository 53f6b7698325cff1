"""Log lines as written to stderr, each test in a process of its own because logging is configured once per process."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CAPACITY = 1000  # lines queued by default

REQUEST = """
import asyncio
import structlog
from btc_price_tracker.telemetry import logs
from btc_price_tracker.web.middleware.request_id import RequestId

async def app(scope, receive, send):
    structlog.get_logger("app").warning("inside")

logs.configure("info", "json")
request = {"type": "http", "headers": [(b"x-request-id", b"mine")]}
asyncio.run(RequestId(app)(request, None, None))
structlog.get_logger("app").warning("outside")
"""


def test_line_carries_the_request_id() -> None:
    result = subprocess.run(
        [sys.executable, "-c", REQUEST], capture_output=True, text=True, timeout=120, check=True
    )
    inside, outside = map(json.loads, result.stderr.splitlines())
    assert (inside["event"], inside["request_id"]) == ("inside", "mine")
    assert outside["event"] == "outside"
    assert "request_id" not in outside


CRASH = """
import sys
import structlog
from btc_price_tracker.telemetry import logs

def connect(password):
    raise KeyError("host")

logs.configure("info", sys.argv[1])
try:
    connect("hunter" + str(2))
except KeyError:
    structlog.get_logger("app").exception("it failed")
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_local_variable(form: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CRASH, form], capture_output=True, text=True, timeout=120, check=True
    )
    assert "KeyError" in result.stderr
    assert "hunter2" not in result.stderr


NASTY = """
import logging, sys
import structlog
from btc_price_tracker.telemetry import logs

logs.configure("info", sys.argv[1])
text = "\\x1b[2J\\r\\u202e"
structlog.get_logger("app").warning("an event", error=text, texts=[text])
logging.getLogger("a library").warning("it says %s", text)
try:
    raise ValueError(text)
except ValueError:
    structlog.get_logger("app").exception("it failed")
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_nothing_that_a_terminal_obeys_is_written(form: str) -> None:
    result = subprocess.run([sys.executable, "-c", NASTY, form], capture_output=True, timeout=120, check=True)
    written = result.stderr.decode()
    assert {sign for sign in written if not sign.isprintable()} == {"\n"}
    assert written.isascii()
    assert len(re.findall(r"\\+(?:x|u00)1b\[2J", written)) >= 4


@pytest.mark.parametrize(
    ("wish", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_terminals_that_want_them(wish: dict[str, str], *, coloured: bool) -> None:
    terminal, end = os.openpty()
    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    subprocess.run(
        [sys.executable, "-c", CRASH, "console"],
        stderr=end,
        env={**plain, "TERM": "xterm", **wish},
        check=True,
    )
    assert (b"\x1b[" in os.read(terminal, 1024)) is coloured


GARBLED = """
import logging
from btc_price_tracker.telemetry import logs

logs.configure("info", "json")
logging.getLogger("a library").warning("%d", "no number")
logging.getLogger("a library").warning("the next")
"""


def test_unformattable_line_raises_nothing() -> None:
    result = subprocess.run(
        [sys.executable, "-c", GARBLED], capture_output=True, text=True, timeout=120, check=True
    )
    assert "Logging error" in result.stderr
    assert "the next" in result.stderr


FLOOD = """
import sys
import structlog
from btc_price_tracker.telemetry import logs

logs.configure("info", "json")
for number in range(3 * int(sys.argv[1])):
    structlog.get_logger("app").warning(f"line {number}", number=number)
print("written", flush=True)
sys.stdin.read()
structlog.get_logger("app").warning("the last")
"""


def test_blocked_stderr_drops_lines_and_counts_them() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD, str(CAPACITY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"written\n"
        head = [json.loads(process.stderr.readline()) for _ in range(CAPACITY)]
        process.stdin.close()
        lines = [*head, *map(json.loads, process.stderr)]
    assert process.returncode == 0
    numbers = [line["number"] for line in lines if "number" in line]
    assert numbers == sorted(numbers)
    dropped = sum(int(line["event"].split()[0]) for line in lines if "dropped" in line["event"])
    assert dropped > 0
    assert len(numbers) + dropped == 3 * CAPACITY
    assert lines[-1]["event"] == "the last"


def test_stderr_that_does_not_block_loses_no_line() -> None:
    count = CAPACITY // 4
    with subprocess.Popen(
        [sys.executable, "-c", f"import os\nos.set_blocking(2, False)\n{FLOOD}", str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"written\n"
        _, written = process.communicate(timeout=60)
    numbers = [line.get("number") for line in map(json.loads, written.splitlines())]
    assert numbers == [*range(3 * count), None]  # the last has none


def test_blocked_stderr_does_not_delay_exit() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FLOOD, str(CAPACITY)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.wait(30) == 0


STREAMED = """
import asyncio, json, os, sys
import structlog
from btc_price_tracker.telemetry import logs
from live import Client, live

async def main():
    async with live() as server:
        await server.publish()
        for headers in {}, {"x_request_id": "0123456789abcdef"}, {"x_request_id": "mine"}:
            async with await Client.get(server.port, "/prices/stream", **headers) as client:
                await client.prices(1)
            while len(server.hub):
                await asyncio.sleep(0.01)

logs.configure("debug", "json")
asyncio.run(main())
"""


def test_all_lines_of_a_stream_bear_its_id() -> None:
    tests = Path(__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", STREAMED],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tests)},
    )
    lines = list(map(json.loads, result.stderr.splitlines()))
    opened = [line for line in lines if line["event"] == "stream opened"]
    ended = [line for line in lines if line["event"] == "stream ended"]
    ids = [(line["stream_id"], line["request_id"]) for line in opened]
    assert ids == [(line["stream_id"], line["request_id"]) for line in ended]
    assert ids[0][0] == ids[0][1]
    assert ids[1] == ("0123456789abcdef", "0123456789abcdef")
    assert (len(ids[2][0]), ids[2][1]) == (16, "mine")
    assert len({stream_id for stream_id, _ in ids}) == 3


TRACED = """
import structlog
from btc_price_tracker.telemetry import logs

logs.configure("info", "json")
token = logs.TRACE_ID.set("0af7651916cd43dd8448eb211c80319c")
structlog.get_logger("app").warning("inside")
logs.TRACE_ID.reset(token)
structlog.get_logger("app").warning("outside")
"""


def test_line_carries_the_trace_id() -> None:
    result = subprocess.run(
        [sys.executable, "-c", TRACED], capture_output=True, text=True, timeout=120, check=True
    )
    inside, outside = map(json.loads, result.stderr.splitlines())
    assert inside["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "trace_id" not in outside
