"""When answers suffice, and how long sources have been silent."""

import pytest

from btc_price_tracker.price.fallback import enough
from btc_price_tracker.price.freshness import silence
from rounds import START, STEP, fails, says


@pytest.mark.parametrize(("source", "is_enough"), [("coingecko", True), ("okx", False)])
def test_one_usable_answer_is_enough_for_the_fallback(source: str, is_enough: bool) -> None:  # noqa: FBT001
    currency = "USDT" if source == "okx" else "USD"
    answers = [fails("kraken", "HTTP 503"), says(source, 50000, START, currency=currency)]
    assert enough(answers, START, STEP) is is_enough


def test_silence_is_the_time_since_any_source_answered() -> None:
    answers = [fails("gemini", "HTTP 503"), says("kraken", 50000, START), says("okx", 50000, START - STEP)]
    assert silence(answers, START + 2000) == 2000


def test_silence_is_unknown_before_the_first_answer() -> None:
    assert silence([fails("gemini", "HTTP 503")], START) is None
