"""The rate limiter, with time as an argument."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.sources.ratelimit import (
    BANS,
    MAX_PAUSE,
    MONTH,
    PROBE,
    RateLimiter,
    is_pro,
    spacing,
    spacing_after_fault,
)

PUBLIC = "https://api.coingecko.com/api/v3"
PRO = "https://pro-api.coingecko.com/api/v3"


@pytest.mark.parametrize(
    ("name", "url", "keyed", "calls", "seconds"),
    [
        ("coingecko", PUBLIC, False, 1, 60),
        ("coingecko", PUBLIC, True, 10_000, MONTH),
        ("coingecko", PUBLIC, True, 100, 60),
        ("coingecko", PRO, True, 100_000, MONTH),
        ("coingecko", PRO, True, 250, 60),
        ("coinpaprika", "", False, 20_000, MONTH),
        ("blockchain_info", "", False, 1, 10),
        ("bitfinex", "", False, 10, 60),
        ("gemini", "", False, 1, 1),
        ("kraken", "", False, 1, 1),
        ("coinbase", "", False, 10, 1),
        ("bitstamp", "", False, 8_000, 600),
        ("okx", "", False, 20, 2),
        ("binance", "", False, 3_000, 60),
        ("binanceus", "", False, 600, 60),
    ],
)
def test_the_documented_limit_of_a_source_is_never_reached(
    name: str, url: str, *, keyed: bool, calls: int, seconds: float
) -> None:
    assert seconds / spacing(name, url, keyed=keyed) <= calls


def test_a_monthly_quota_is_spread_evenly() -> None:
    assert spacing("coingecko", PUBLIC, keyed=True) == pytest.approx(298, abs=1)
    assert spacing("coinpaprika", "", keyed=False) == pytest.approx(149, abs=1)
    assert spacing("coingecko", PRO, keyed=True) == pytest.approx(30, abs=1)


@pytest.mark.parametrize(
    ("url", "pro"), [(PRO, True), (PUBLIC, False), ("http://127.0.0.1:9/pro-api", False), ("", False)]
)
def test_the_host_identifies_the_pro_plan(url: str, *, pro: bool) -> None:
    assert is_pro(url) is pro


def test_requests_are_spaced_after_the_first() -> None:
    rate_limiter = RateLimiter(60.0, Random(1))
    assert rate_limiter.wait(-5.0) == 0
    rate_limiter.spend(0.0)
    assert rate_limiter.wait(0.0) == 60
    assert rate_limiter.wait(59.0) == 1
    assert rate_limiter.wait(61.0) == 0


@pytest.mark.parametrize("retry_after", [5.0, 119.0, 86_400.0])
def test_retry_after_is_a_lower_bound_of_the_pause(retry_after: float) -> None:
    rate_limiter = RateLimiter(1.0, Random(1))
    rate_limiter.on_rate_limit(0.0, retry_after)
    assert retry_after <= rate_limiter.wait(0.0) <= retry_after * 1.1
    assert rate_limiter.is_paused(retry_after - 0.1)
    assert not rate_limiter.is_paused(retry_after * 1.1)


def test_rate_limits_double_the_pause_up_to_15_minutes() -> None:
    rate_limiter, pauses = RateLimiter(1.0, Random(1)), []
    for _ in range(20):
        rate_limiter.on_rate_limit(0.0, None)
        pauses.append(rate_limiter.wait(0.0))
    for strike, pause in enumerate(pauses, 1):
        nominal = min(2.0**strike, MAX_PAUSE)
        assert nominal <= pause <= nominal * 1.1


def test_success_resets_the_back_off() -> None:
    rate_limiter = RateLimiter(1.0, Random(1))
    for _ in range(5):
        rate_limiter.on_rate_limit(0.0, None)
    rate_limiter.on_success()
    rate_limiter.on_rate_limit(100.0, None)
    assert rate_limiter.wait(100.0) < 2.3


def test_bans_without_an_end_lengthen_until_success() -> None:
    rate_limiter, pauses = RateLimiter(1.0, Random(1)), []
    for _ in range(7):
        rate_limiter.on_ban(0.0, None)
        pauses.append(rate_limiter.wait(0.0))
    for nominal, pause in zip((*BANS, BANS[-1], BANS[-1]), pauses, strict=True):
        assert nominal <= pause <= nominal * 1.1
    rate_limiter.on_success()
    rate_limiter.on_ban(0.0, None)
    assert rate_limiter.wait(0.0) <= BANS[0] * 1.1


def test_a_ban_with_an_end_lasts_until_its_end() -> None:
    rate_limiter = RateLimiter(1.0, Random(1))
    rate_limiter.on_ban(0.0, 7200)
    assert 7200 <= rate_limiter.wait(0.0) <= 7200 * 1.1


def test_a_shortened_pause_keeps_the_quota() -> None:
    for gap, wait in ((1.0, PROBE), (149.0, 149.0)):
        rate_limiter = RateLimiter(gap, Random(1))
        rate_limiter.shorten_pause()
        assert rate_limiter.wait(0.0) == 0
        rate_limiter.spend(100.0)
        rate_limiter.on_ban(101.0, 86_400)
        rate_limiter.shorten_pause()
        assert rate_limiter.wait(100.0) == wait


@given(
    st.floats(0.5, 1000),
    st.lists(st.tuples(st.floats(0, 100), st.sampled_from(["", "429", "429+"])), max_size=100),
)
def test_requests_are_never_closer_than_the_spacing(gap: float, steps: list[tuple[float, str]]) -> None:
    rate_limiter, now, calls = RateLimiter(gap, Random(1)), 0.0, [float("-inf")]
    for pause, answer in steps:
        now += pause
        if rate_limiter.wait(now) > 0:
            continue
        assert now - calls[-1] >= gap * 0.999_999
        rate_limiter.spend(now)
        calls.append(now)
        if answer:
            rate_limiter.on_rate_limit(now, 300.0 if answer == "429+" else None)
        else:
            rate_limiter.on_success()


def test_keyless_coingecko_is_retried_sooner_within_its_limit() -> None:
    usual = spacing("coingecko", PUBLIC, keyed=False)
    rate_limiter = RateLimiter(usual, Random(1), spacing_after_fault("coingecko", usual, keyed=False))
    rate_limiter.spend(0.0)
    rate_limiter.on_failure(1.0)
    assert rate_limiter.wait(1.0) == 12
    assert spacing_after_fault("coinpaprika", 149.0, keyed=False) == 149
    assert spacing_after_fault("coingecko", 298.0, keyed=True) == 298


def test_sources_of_one_api_share_limit_and_pauses() -> None:
    price = RateLimiter(1.0, Random(1))
    rate = RateLimiter(30.0, Random(1), parent=price)
    rate.spend(100)
    assert (rate.wait(100), price.wait(100)) == (30, 1)
    price.spend(130)
    assert rate.wait(130) == 1
    rate.on_rate_limit(140, 60)
    assert price.wait(140) >= 60
