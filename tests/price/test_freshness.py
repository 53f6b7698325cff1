"""How long a quote counts."""

from btc_price_tracker.price.freshness import is_fresh
from rounds import START, says


def test_a_quota_that_holds_a_source_back_gives_its_quotes_more_time() -> None:
    answer = says("coingecko", 50000, START, spacing=298_000)
    assert is_fresh(answer, START + 590_000, 10_000)
    assert not is_fresh(answer, START + 600_000, 10_000)
    assert not is_fresh(says("coingecko", 50000, START), START + 130_000, 10_000)
