"""Repeated log lines are passed a few times, then counted."""

import logging

import pytest

from btc_price_tracker.telemetry.limiter import Limiter

BURST, PERIOD, MAX_KINDS = 5, 20.0, 10


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limiter(time: Time) -> Limiter:
    return Limiter(time, BURST, PERIOD, MAX_KINDS)


def record(
    event: object = "invalid HTTP request", name: str = "web", level: int = logging.INFO
) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 0, event, None, None)


def written(limiter: Limiter, lines: int, event: object = "invalid HTTP request") -> list[str]:
    return [str(each.msg) for _ in range(lines) for each in limiter.limit(record(event))]


def test_flood_is_suppressed_with_a_notice_and_counted(limiter: Limiter, time: Time) -> None:
    assert written(limiter, BURST) == ["invalid HTTP request"] * BURST
    assert written(limiter, 1000) == [
        "too many log lines like 'invalid HTTP request': suppressed for up to 20 s"
    ]
    time.now += PERIOD
    assert written(limiter, 2) == [
        "1000 log lines like 'invalid HTTP request' suppressed",
        "invalid HTTP request",
        "invalid HTTP request",
    ]


def test_lines_within_the_limit_all_pass(limiter: Limiter, time: Time) -> None:
    for _ in range(10):
        assert len(written(limiter, BURST)) == BURST
        time.now += PERIOD


def test_kinds_are_limited_independently(limiter: Limiter) -> None:
    written(limiter, 10 * BURST)
    for other in (record("source failed"), record(name="store"), record(level=logging.ERROR)):
        assert limiter.limit(other) == [other]


def test_values_of_an_event_do_not_make_a_new_kind(limiter: Limiter) -> None:
    lines = [limiter.limit(record({"event": "invalid", "client": number})) for number in range(10 * BURST)]
    assert sum(map(len, lines)) == BURST + 1


def test_number_of_remembered_kinds_is_bounded(limiter: Limiter) -> None:
    for number in range(3 * MAX_KINDS):
        written(limiter, 1, f"line {number}")
    assert len(limiter._windows) <= MAX_KINDS
