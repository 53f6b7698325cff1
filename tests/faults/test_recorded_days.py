"""Hours of the packaged day through the whole path; bench/days.py plays twelve days: docs/disagreement.md."""

from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.price.model import Status
from played import Days, longest_silence, play

SILENT = range(270, 547)  # minutes of the table without data from Coinbase


@pytest.mark.parametrize(
    ("interval", "minutes", "leeway"),
    [
        (60, range(SILENT.start - 30, SILENT.stop + 30), 180),  # a quote may be three intervals old
        (10, range(SILENT.start - 4, SILENT.start + 10), 30),
    ],
)
async def test_a_coinbase_outage_does_not_move_the_price(interval: int, minutes: range, leeway: int) -> None:
    with capture_logs():
        rounds = [each async for each in play(Days.read(None), interval, minutes)]
    assert len(rounds) == len(minutes) * 60 / interval
    assert all(each.recomputed for each in rounds)
    assert not any(each.status is Status.OK and each.fresh < 3 for each in rounds)
    assert max(each.stray for each in rounds) < 10
    silence = longest_silence(rounds, "coinbase")
    assert len(silence) == len(set(minutes) & set(SILENT)) * 60 / interval
    after = leeway // interval  # rounds until its last quote is too old
    assert {each.status for each in silence[after:]} == {Status.DEGRADED}
    assert {each.status for each in rounds if each.all_up} == {Status.OK}


async def test_one_false_quote_of_three_stays_within_the_others() -> None:
    days = Days.read(None)
    with capture_logs():
        rounds = [each async for each in play(days.with_lie("kraken", Decimal("1.049")), 60, range(30))]
    for each in rounds:
        honest = [float(each.closes[name] or 0) for name in ("coinbase", "binanceus")]
        assert min(honest) * 0.9999 <= float(each.price or 0) <= max(honest) * 1.0001
