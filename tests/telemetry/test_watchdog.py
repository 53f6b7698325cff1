"""A stuck event loop is reported once with all stacks, even while the GIL is held."""

import json
import re
import subprocess
import sys
import time

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.telemetry.watchdog import RECENT, Watchdog

STALL_AFTER, RECOVERY = 4.0, 20.0  # seconds


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> int:
        return 0

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@pytest.fixture
def clock() -> Clock:
    return Clock()


def check_each_second(watchdog: Watchdog, clock: Clock, seconds: float) -> None:
    for _ in range(round(seconds)):
        clock.time += 1
        watchdog.check()


def test_stuck_loop_is_logged_once_with_all_stacks(clock: Clock) -> None:
    watchdog = Watchdog(clock, STALL_AFTER, RECOVERY)
    with capture_logs() as lines:
        check_each_second(watchdog, clock, STALL_AFTER - 1)
        assert not lines
        check_each_second(watchdog, clock, 30)
    (line,) = lines
    assert line["seconds"] == STALL_AFTER
    assert "test_stuck_loop_is_logged_once_with_all_stacks" in line["stacks"]
    assert "MainThread" in line["stacks"]


def test_recovered_loop_is_unhealthy_briefly_and_watched_again(clock: Clock) -> None:
    watchdog = Watchdog(clock, STALL_AFTER, RECOVERY)
    states = [watchdog.recovering]
    with capture_logs() as lines:
        check_each_second(watchdog, clock, 12)
        watchdog._turn(11.0)
        assert [line["event"] for line in lines] == ["event loop is stuck", "event loop recovered"]
        states.append(watchdog.recovering)
        clock.time += RECOVERY
        watchdog._turn(0.0)
        states.append(watchdog.recovering)
        check_each_second(watchdog, clock, STALL_AFTER)
    assert states == [False, True, False]
    assert (len(lines), watchdog.stalls) == (3, 1)


def test_loop_is_unhealthy_before_the_end_of_a_stall_was_noticed(clock: Clock) -> None:
    """A request that waited for it may be handled before `watch` runs again."""
    watchdog = Watchdog(clock, STALL_AFTER, RECOVERY)
    clock.time += STALL_AFTER
    assert watchdog.recovering


def test_short_delays_show_as_lag_only(clock: Clock) -> None:
    watchdog = Watchdog(clock, STALL_AFTER, RECOVERY)
    with capture_logs() as lines:
        for lag in (0.1, 2.0, 0.2):
            clock.time += 1 + lag
            watchdog.check()
            watchdog._turn(lag)
    assert not lines
    assert (watchdog.lag, watchdog.stalls, watchdog.recovering) == (2.0, 0, False)
    for _ in range(RECENT):
        watchdog._turn(0.0)
    assert watchdog.lag == 0.0


def test_blocked_watchdog_thread_logs_no_stale_stacks(clock: Clock) -> None:
    watchdog = Watchdog(clock, STALL_AFTER, RECOVERY)
    with capture_logs() as lines:
        clock.time += 60  # a regular expression held the interpreter, or the process was stopped
        watchdog.check()
    assert not lines


STALL = """
import asyncio
import re
import sys
import time
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.telemetry import logs
from btc_price_tracker.telemetry.watchdog import Watchdog

def sleep_on_the_loop():
    time.sleep(2)

def match_on_the_loop():
    until = time.monotonic() + 2
    while time.monotonic() < until:
        re.fullmatch("(a|aa)+", "a" * int(sys.argv[2]) + "b")  # holds the GIL

async def main():
    watching = asyncio.create_task(Watchdog(SystemClock(), stall_after=0.5, period=0.05).watch())
    await asyncio.sleep(0.2)
    globals()[sys.argv[1]]()
    await asyncio.sleep(0.2)
    watching.cancel()

logs.configure("info", "json")
asyncio.run(main())
"""


def stall(how: str, size: int = 0) -> str:
    result = subprocess.run(
        [sys.executable, "-c", STALL, how, str(size)], capture_output=True, text=True, timeout=120, check=True
    )
    return result.stderr


def test_blocking_call_is_logged_as_json() -> None:
    stuck, again = map(json.loads, stall("sleep_on_the_loop").splitlines())
    assert stuck["event"] == "event loop is stuck"
    assert "sleep_on_the_loop" in stuck["stacks"]
    assert (again["event"], again["level"]) == ("event loop recovered", "warning")


def test_code_that_holds_the_gil_shows_once_it_is_over() -> None:
    [recovered] = map(json.loads, stall("match_on_the_loop", size_that_takes_seconds()).splitlines())
    assert recovered["event"] == "event loop recovered"


def size_that_takes_seconds() -> int:
    """Length of a text for which the pattern takes about two seconds on this machine."""
    size, took = 20, 0.0
    while took < 0.2:
        begun = time.perf_counter()
        re.fullmatch("(a|aa)+", "a" * size + "b")
        took = time.perf_counter() - begun
        size += 1
    return size + 4
