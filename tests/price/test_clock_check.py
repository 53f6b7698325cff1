"""Whether the machine's clock can be believed, by what the sources' clocks say."""

from decimal import Decimal

import pytest

from btc_price_tracker.price.clock_check import ClockCheck
from btc_price_tracker.price.model import Answer, Kind, Quote
from btc_price_tracker.testing import ManualClock

YEAR = 365 * 86_400_000


def shows(offset: int | None, *, fault: str | None = None, time: int | None = None) -> Answer:
    quote = Quote(Decimal(50_000), time=time)
    return Answer("kraken", Kind.EXCHANGE, quote=quote, clock_offset=offset, fault=fault)


@pytest.mark.parametrize(
    "offsets",
    [
        [],
        [None],
        [0],
        [3_600_000],
        [30_000, -30_000],
        [YEAR, 0],
        [YEAR, -YEAR],
        [YEAR, 0, 100],
        [YEAR, 60_000, 1],
    ],
)
def test_clock_stands_unless_most_sources_contradict_it(offsets: list[int | None]) -> None:
    assert ClockCheck(ManualClock()).review([shows(each) for each in offsets]) is None


@pytest.mark.parametrize("offsets", [[YEAR], [30_001, 31_000], [-YEAR, -YEAR, 0], [YEAR, None, None]])
def test_clock_is_wrong_where_most_sources_contradict_it(offsets: list[int | None]) -> None:
    assert ClockCheck(ManualClock()).review([shows(each) for each in offsets]) is not None


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (400 * 86_400_000 + 5, "400 days ahead of"),
        (-7_300_000, "2 hours behind"),
        (-90_000, "1 minutes behind"),
        (31_000, "31 seconds ahead of"),
    ],
)
def test_reason_names_the_offset_and_the_remedy(offset: int, words: str) -> None:
    assert ClockCheck(ManualClock()).review([shows(offset), shows(offset)]) == (
        f"the clock of this machine is {words} the sources' clocks: set it, and prices go on"
    )


def test_own_time_of_a_new_quote_is_a_witness_where_there_is_no_date() -> None:
    clock = ManualClock()
    check, then = ClockCheck(clock), clock.now() - YEAR
    assert check.review([shows(None, time=then)]) is not None
    assert check.review([shows(None, time=then, fault="HTTP 503")]) is None
    assert check.review([shows(0, time=then)]) is None


async def test_confirmed_time_goes_on_by_the_monotonic_clock() -> None:
    clock = ManualClock()
    check, start = ClockCheck(clock), clock.now()
    assert check.time() is None
    check.review([shows(0)])
    await clock.advance(60)
    clock.step(86_400)
    check.review([shows(86_400_000)])
    assert check.time() == start + 60_000


def test_no_witness_confirms_nothing() -> None:
    clock = ManualClock()
    check, recorded = ClockCheck(clock), ClockCheck(clock, recorded=True)
    check.review([shows(None)])
    recorded.review([shows(0)])
    assert (check.time(), recorded.time()) == (None, None)
