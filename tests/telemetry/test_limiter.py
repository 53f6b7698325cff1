"""What anyone can make the log say is said a few times, then counted."""

import logging

import pytest

from btc_price_tracker.telemetry.limiter import BURST, MAX_KINDS, PERIOD, Limiter


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
    return Limiter(time)


def record(
    event: object = "invalid HTTP request", name: str = "web", level: int = logging.INFO
) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 0, event, None, None)


def written(limiter: Limiter, lines: int, event: object = "invalid HTTP request") -> list[str]:
    return [str(each.msg) for _ in range(lines) for each in limiter.limit(record(event))]


def test_a_flood_is_cut_off_with_a_word_and_counted_later(limiter: Limiter, time: Time) -> None:
    assert written(limiter, BURST) == ["invalid HTTP request"] * BURST
    assert written(limiter, 1000) == [
        "too many log lines like 'invalid HTTP request': suppressed for up to 10 s"
    ]
    time.now += PERIOD
    assert written(limiter, 2) == [
        "1000 log lines like 'invalid HTTP request' suppressed",
        "invalid HTTP request",
        "invalid HTTP request",
    ]


def test_lines_in_moderation_are_all_written(limiter: Limiter, time: Time) -> None:
    for _ in range(10):
        assert len(written(limiter, BURST)) == BURST
        time.now += PERIOD


def test_one_kind_leaves_the_others_their_say(limiter: Limiter) -> None:
    written(limiter, 10 * BURST)
    for other in (record("source failing"), record(name="store"), record(level=logging.ERROR)):
        assert limiter.limit(other) == [other]


def test_the_values_of_an_event_make_no_other_kind(limiter: Limiter) -> None:
    lines = [limiter.limit(record({"event": "invalid", "client": number})) for number in range(10 * BURST)]
    assert sum(map(len, lines)) == BURST + 1


def test_kinds_without_end_are_not_remembered_without_end(limiter: Limiter) -> None:
    for number in range(3 * MAX_KINDS):
        written(limiter, 1, f"line {number}")
    assert len(limiter._windows) <= MAX_KINDS
