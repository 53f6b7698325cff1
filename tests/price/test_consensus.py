"""The vectors of the rule: what each fault, split and recovery brings."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.model import Answer, Kind, Quote, QuoteState, Status
from btc_price_tracker.price.recompute import recompute
from rounds import INTERVAL, START, STEP, Play, answers, exact, price, reasons, says, used


@pytest.fixture
def play() -> Play:
    return Play(Consensus(INTERVAL))


FOUR = {"coinbase": 50000, "kraken": 50010, "bitstamp": 50020, "gemini": 50030}


def test_four_that_agree_are_ok(play: Play) -> None:
    update = play(FOUR)
    assert (update.status, price(update)) == (Status.OK, Decimal("50015.00"))
    assert update.tick is not None
    assert (update.tick.sources, update.tick.age, update.tick.method) == (4, 0, "vote3-ped/2")
    assert update.reason == "4 exchanges agree."
    assert update.quotes == update.tick.quotes


@pytest.mark.parametrize("lie", [500100, 5001, 47559, 52460, 2, 99_999_999])
def test_one_liar_among_four_moves_nothing_beyond_the_honest_quotes(play: Play, lie: int) -> None:
    update = play({**FOUR, "kraken": lie})
    assert update.status is Status.OK
    assert 49999 <= price(update) <= 50031


def test_one_source_times_ten_is_excluded_and_says_so(play: Play) -> None:
    update = play({**FOUR, "gemini": 500300})
    assert used(update) == {"coinbase", "kraken", "bitstamp"}
    assert update.reason.startswith("3 of 4 exchanges agree; gemini: excluded: far from the others")


def test_every_quote_carries_its_state_as_a_value(play: Play) -> None:
    late = says("bitstamp", 50005, START - 3_600_000)
    update = play({**FOUR, "gemini": 500300, "bitstamp": late, "okx": None, "coingecko": 50000})
    assert {quote.source: quote.state for quote in update.quotes} == {
        "coinbase": QuoteState.USED,
        "kraken": QuoteState.USED,
        "bitstamp": QuoteState.STALE,
        "gemini": QuoteState.EXCLUDED,
        "okx": QuoteState.FAILED,
        "coingecko": QuoteState.RESERVE,
    }


def test_one_in_three_is_excluded_not_the_two(play: Play) -> None:
    update = play(coinbase=100, kraken=100, bitstamp=200)
    assert (update.status, price(update)) == (Status.DEGRADED, exact(100))
    assert used(update) == {"coinbase", "kraken"}


def test_two_far_apart_give_no_new_price(play: Play) -> None:
    update = play(coinbase=100, kraken=200)
    assert (update.status, update.tick) == (Status.STALE, None)
    assert update.reason == "No price yet: coinbase and kraken disagree by more than 1 %."
    assert reasons(update)["kraken"] == "the exchanges disagree by more than 1 %"


@pytest.mark.parametrize(("other", "status"), [(50500, Status.DEGRADED), (50501, Status.STALE)])
def test_two_agree_within_one_percent(play: Play, other: int, status: Status) -> None:
    assert play(coinbase=50000, kraken=other).status is status


def test_an_aggregator_referees_a_split_of_two(play: Play) -> None:
    update = play(coinbase=50000, kraken=51000, coingecko=50900)
    assert (update.status, price(update), used(update)) == (Status.DEGRADED, exact(51000), {"kraken"})
    assert update.reason == (
        "1 of 2 exchanges agree, confirmed by coingecko; coinbase: the exchanges disagree by more than 1 %."
    )


def test_an_aggregator_between_the_two_is_no_referee(play: Play) -> None:
    assert play(coinbase=50000, kraken=50600, coingecko=50300).status is Status.STALE


def test_an_aggregator_far_from_both_is_no_referee(play: Play) -> None:
    assert play(coinbase=50000, kraken=51000, coingecko=55000).status is Status.STALE


def test_two_against_two_need_the_referee(play: Play) -> None:
    sides = {"coinbase": 50000, "kraken": 50001, "bitstamp": 52450, "gemini": 52451}
    assert play(sides).status is Status.STALE
    update = play({**sides, "coingecko": 50010})
    assert (update.status, used(update)) == (Status.DEGRADED, {"coinbase", "kraken"})


def test_three_that_all_differ_are_not_ok(play: Play) -> None:
    update = play(coinbase=50000, kraken=51000, bitstamp=52000)
    assert (update.status, price(update)) == (Status.DEGRADED, exact(51000))


def test_three_with_one_five_percent_off_are_two_that_agree(play: Play) -> None:
    update = play(coinbase=50000, kraken=50010, bitstamp=52400)
    assert update.status is Status.DEGRADED
    assert update.reason == "2 of 3 exchanges agree; bitstamp: excluded: far from the others."
    assert price(update) == exact(50005)


def test_the_aggregator_is_in_reserve_while_two_exchanges_speak(play: Play) -> None:
    update = play({**FOUR, "coingecko": 49900})
    assert used(update) == set(FOUR)
    assert reasons(update)["coingecko"] == "in reserve: it re-reports the exchanges"


def test_a_crossed_book_leaves_the_last_trade(play: Play) -> None:
    crossed = Answer(
        "kraken",
        Kind.EXCHANGE,
        quote=Quote(exact(50010), exact(60000), exact(40000)),
        received_at=START + STEP,
    )
    update = play({**FOUR, "kraken": crossed})
    kraken = update.quotes[1]
    assert (kraken.price, kraken.confidence, kraken.used) == (Decimal("50010.0000"), Decimal("50.0100"), True)


def test_an_empty_side_leaves_the_last_trade(play: Play) -> None:
    bare = Answer("kraken", Kind.EXCHANGE, quote=Quote(exact(50010), bid=exact(1)), received_at=START + STEP)
    assert play({**FOUR, "kraken": bare}).quotes[1].price == Decimal("50010.0000")


@pytest.mark.parametrize("absurd", ["NaN", "Infinity", "-50000", "0", "0.5", "1e12"])
def test_an_absurd_price_is_no_vote(play: Play, absurd: str) -> None:
    odd = Answer("kraken", Kind.EXCHANGE, quote=Quote(Decimal(absurd)), received_at=START + STEP)
    assert reasons(play({**FOUR, "kraken": odd}))["kraken"] == "its price is implausible"


# Fallen below a quorum


def test_one_exchange_left_is_a_single_source(play: Play) -> None:
    update = play(coinbase=50000, kraken=None, bitstamp=None)
    assert (update.status, price(update)) == (Status.SINGLE_SOURCE, exact(50000))
    assert update.reason == "Only coinbase can be used; kraken and bitstamp: HTTP 503."


def test_coingecko_only_is_a_single_source(play: Play) -> None:
    update = play(coingecko=50000)
    assert (update.status, price(update)) == (Status.SINGLE_SOURCE, exact(50000))
    assert update.reason == "Only coingecko can be used."


def test_aggregators_never_make_a_quorum(play: Play) -> None:
    update = play(coinbase=50000, coingecko=50001, coinpaprika=50002)
    assert (update.status, used(update)) == (Status.SINGLE_SOURCE, {"coinbase"})
    assert update.reason == "Only coinbase can be used, confirmed by coingecko and coinpaprika."


def test_aggregators_vote_where_there_is_no_exchange(play: Play) -> None:
    update = play(coinbase=None, coingecko=50000, coinpaprika=50002)
    assert (update.status, price(update)) == (Status.SINGLE_SOURCE, exact(50001))
    assert used(update) == {"coingecko", "coinpaprika"}


def test_one_exchange_against_an_aggregator_is_nobody(play: Play) -> None:
    assert play(coinbase=500000, coingecko=50000).status is Status.STALE


def test_nothing_ever_is_no_price(play: Play) -> None:
    update = play(coinbase=None, coingecko=None)
    assert (update.status, update.tick, play.policy.last) == (Status.STALE, None, None)
    assert update.reason == "No price yet: no source is usable; coinbase and coingecko: HTTP 503."
    assert [judged.source for judged in update.quotes] == ["coinbase", "coingecko"]


# Freshness


def timed(source: str, now: int, time: int, cost: int = 50000, received_at: int | None = None) -> Answer:
    return says(
        source,
        cost,
        now,
        quote=Quote(exact(cost), time=time),
        received_at=now if received_at is None else received_at,
    )


def test_a_quote_is_as_old_as_its_source_says_however_freshly_fetched(play: Play) -> None:
    update = play({**FOUR, "kraken": timed("kraken", START + STEP, START + STEP - 30_001)})
    assert reasons(update)["kraken"] == "its quote is older than 30 s"
    assert update.quotes[1].age == 30_001


def test_a_quote_may_be_as_old_as_the_limit(play: Play) -> None:
    assert "kraken" in used(play({**FOUR, "kraken": timed("kraken", START + STEP, START + STEP - 30_000)}))


def test_a_source_may_miss_one_poll(play: Play) -> None:
    now = START + STEP
    update = play({**FOUR, "kraken": failing("kraken", now, since=15_000)})
    assert "kraken" in used(update)


def test_a_quote_heard_long_ago_is_stale_even_if_its_time_is_not(play: Play) -> None:
    now = START + STEP
    update = play({**FOUR, "kraken": timed("kraken", now, now, received_at=now - 30_001)})
    assert reasons(update)["kraken"] == "its quote is older than 30 s"


def test_a_silent_source_has_no_vote_however_young_its_quote(play: Play) -> None:
    now = START + STEP
    update = play({**FOUR, "kraken": failing("kraken", now, since=15_001)})
    assert (update.status, reasons(update)["kraken"]) == (Status.OK, "HTTP 503")
    assert "kraken" not in used(update)


def failing(source: str, now: int, since: int) -> Answer:
    return says(source, FOUR[source], now - since, fault="HTTP 503")


def silent(now: int, since: int) -> dict[str, Answer]:
    return {name: failing(name, now, since) for name in FOUR}


def test_reason_says_when_the_silent_sources_agreed(play: Play) -> None:
    play(FOUR)
    update = play(dict(silent(play.now + STEP, since=12_000)))
    assert (update.status, update.reason) == (Status.OK, "4 exchanges agreed 12 s ago.")
    assert update.tick is not None
    assert (update.tick.age, update.tick.quote_age) == (12, 12_000)


def test_price_is_stale_once_every_source_is_silent(play: Play) -> None:
    play(FOUR)
    update = play(dict(silent(play.now + STEP, since=15_001)))
    assert update.status is Status.STALE
    assert update.tick is not None
    assert update.tick.quote_age == 10_000  # of the price, which is that of the round before


def test_price_is_as_old_as_the_newest_quote_that_it_rests_on(play: Play) -> None:
    now = START + STEP
    quotes = {name: timed(name, now, now - 4_000 - order) for order, name in enumerate(FOUR)}
    tick = play({**quotes, "coingecko": 50000}).tick
    assert tick is not None
    assert (tick.quote_age, tick.age) == (4_000, 4)


def test_the_fault_explains_a_stale_quote_better_than_its_age(play: Play) -> None:
    old = says("kraken", 50000, START - 60_000, fault="HTTP 429")
    assert reasons(play({**FOUR, "kraken": old}))["kraken"] == "HTTP 429"


def test_a_cached_quote_with_a_fault_is_used_while_it_is_fresh(play: Play) -> None:
    assert "kraken" in used(play({**FOUR, "kraken": says("kraken", 50010, START, fault="HTTP 429")}))


def test_an_aggregator_may_be_older_than_an_exchange(play: Play) -> None:
    now = START + STEP
    assert play(coingecko=timed("coingecko", now, now - 120_000)).status is Status.SINGLE_SOURCE
    assert play(coingecko=timed("coingecko", now, now - 120_001)).status is Status.STALE


@pytest.mark.parametrize("skew", [-3600, -60, 60, 3600])
def test_a_source_whose_clock_is_off_can_not_be_judged_fresh(play: Play, skew: int) -> None:
    now = START + STEP
    update = play({**FOUR, "kraken": timed("kraken", now, now + skew * 1000)})
    assert used(update) == {"coinbase", "bitstamp", "gemini"}
    assert "clock is more than 30 s ahead" in str(reasons(update)["kraken"]) or skew < 0


def test_a_clock_a_little_ahead_does_not_matter(play: Play) -> None:
    update = play({**FOUR, "kraken": timed("kraken", START + STEP, START + STEP + 30_000)})
    assert "kraken" in used(update)
    assert update.quotes[1].age == 0


def test_a_quote_is_never_younger_than_new(play: Play) -> None:
    update = play({**FOUR, "kraken": says("kraken", 50010, START + STEP + 5_000)})
    assert ("kraken" in used(update), update.quotes[1].age) == (True, 0)


def test_a_source_ahead_that_repeats_itself_grows_stale_by_when_we_heard_it(play: Play) -> None:
    ahead = timed("kraken", START, START + 20_000)
    rounds = [play({**FOUR, "kraken": ahead}) for _ in range(4)]
    assert ["kraken" in used(update) for update in rounds] == [True, True, True, False]


def test_doubt_doubles_by_the_age_limit(play: Play) -> None:
    now = START + STEP
    update = play({"kraken": timed("kraken", now, now), "gemini": timed("gemini", now, now - 30_000)})
    assert [judged.confidence for judged in update.quotes] == [Decimal("50.0000"), Decimal("100.0000")]


# Frozen


def test_a_source_that_repeats_itself_while_the_others_move_is_frozen(play: Play) -> None:
    rounds = [
        play(
            coinbase=50000 + 100 * move, kraken=50000, bitstamp=50001 + 100 * move, gemini=50002 + 100 * move
        )
        for move in range(5)
    ]
    assert ["kraken" in used(update) for update in rounds] == [True, True, True, False, False]
    assert reasons(rounds[-1])["kraken"] == "frozen: its quote stands still while the others move"


def test_a_frozen_source_that_moves_again_is_used_at_once(play: Play) -> None:
    for move in range(5):
        play(coinbase=50000 + 100 * move, kraken=50000, bitstamp=50001 + 100 * move)
    assert "kraken" in used(play(coinbase=50500, kraken=50499, bitstamp=50501))


def test_a_market_that_rests_is_not_frozen(play: Play) -> None:
    for _ in range(6):
        update = play(FOUR)
    assert used(update) == set(FOUR)


def test_one_that_moves_alone_does_not_make_the_others_look_frozen(play: Play) -> None:
    for move in range(6):
        update = play(coinbase=50000, kraken=50001, bitstamp=50002 + 100 * move)
    assert {"coinbase", "kraken"} <= used(update)


def test_a_cached_answer_is_not_another_poll(play: Play) -> None:
    cached = says("kraken", 50000, START)
    play({**FOUR, "kraken": cached})
    moved = {name: cost + 200 for name, cost in FOUR.items()}
    for _ in range(2):
        assert "kraken" in used(play({**moved, "kraken": cached}))


# Exclusion and return


def test_the_excluded_come_back_after_two_rounds_well_within(play: Play) -> None:
    lies = [53000, 51500, 50200, 50200, 50000]
    back = ["gemini" in used(play({**FOUR, "gemini": lie})) for lie in lies]
    assert back == [False, False, False, True, True]


def test_flapping_around_the_limit_stays_excluded(play: Play) -> None:
    base = {"coinbase": 100000, "kraken": 100000, "bitstamp": 100000}
    lies = [100900, 101100, 100900, 101100, 100900]
    voted = ["gemini" in used(play({**base, "gemini": lie})) for lie in lies]
    assert voted == [True, False, False, False, False]


def test_being_back_must_last_two_rounds_in_a_row(play: Play) -> None:
    lies = [53000, 50000, 53000, 50000, 50000]
    assert ["gemini" in used(play({**FOUR, "gemini": lie})) for lie in lies] == [
        False,
        False,
        False,
        False,
        True,
    ]


def test_an_outage_does_not_count_as_being_back(play: Play) -> None:
    said: list[int | None] = [53000, 50000, None, 50000, 50000]
    assert ["gemini" in used(play({**FOUR, "gemini": lie})) for lie in said] == [
        False,
        False,
        False,
        False,
        True,
    ]


def test_a_known_liar_is_not_heard_when_it_alone_is_left(play: Play) -> None:
    play({**FOUR, "gemini": 500000})
    alone = {"coinbase": None, "kraken": None, "bitstamp": None, "gemini": 500000}
    update = play(alone)
    assert (update.status, price(update)) == (Status.STALE, Decimal("50010.00"))


def test_exclusion_lapses_with_the_last_price(play: Play) -> None:
    play({**FOUR, "gemini": 53000})
    alone = {"coinbase": None, "kraken": None, "bitstamp": None, "gemini": 53000}
    statuses = [play(alone).status for _ in range(32)]
    assert statuses == [Status.STALE] * 30 + [Status.SINGLE_SOURCE] * 2


# A majority that errs together


def test_three_that_lie_together_are_not_ok_against_an_exchange_and_an_aggregator(play: Play) -> None:
    for lie in (500_000, 52_450, 5_000):
        update = play(coinbase=lie, kraken=lie + 1, bitstamp=lie + 2, gemini=50000, coingecko=50000)
        assert update.status is not Status.OK


def test_three_that_lie_together_are_not_ok_against_an_exchange_and_the_last_sure_price(play: Play) -> None:
    play(FOUR)
    for _ in range(5):
        update = play(coinbase=500_000, kraken=500_001, bitstamp=500_002, gemini=50000)
        assert update.status is not Status.OK
    assert "gemini and the last sure price agree on another price" in update.reason


def test_all_that_lie_together_are_not_ok_against_an_aggregator_and_the_last_sure_price(play: Play) -> None:
    play({**FOUR, "coingecko": 50000})
    update = play(coinbase=500_000, kraken=500_001, bitstamp=500_002, coingecko=50000)
    assert update.status is not Status.OK


@pytest.mark.parametrize("percent_a_minute", [0.5, 1, 3])
def test_a_majority_that_drifts_away_is_not_ok_for_long(play: Play, percent_a_minute: float) -> None:
    play(FOUR)
    for number in range(1, 241):
        drift = 1 + percent_a_minute / 100 / 6 * number
        update = play(coinbase=50000 * drift, kraken=50001 * drift, bitstamp=50002 * drift, gemini=50000)
        if update.status is Status.OK:
            assert price(update) < 51_000


def test_one_stray_voice_does_not_take_ok_away(play: Play) -> None:
    play(FOUR)
    assert play({**FOUR, "coingecko": 500000}).status is Status.OK
    assert play({**FOUR, "gemini": 45000}).status is Status.OK


def test_known_liars_do_not_outvote_but_silence(play: Play) -> None:
    honest = {"coinbase": 50000, "kraken": 50001, "bitstamp": 50002}
    play({**honest, "gemini": 500_000, "okx": 50003})
    play({**honest, "gemini": 500_000, "okx": 500_001})
    update = play(coinbase=50000, kraken=None, bitstamp=None, gemini=500_000, okx=500_001)
    assert update.status is Status.STALE
    assert used(update) == set()


def test_liars_near_an_honest_exchange_do_not_decide_without_it(play: Play) -> None:
    """Not quite a majority that agrees closely, but more of them than of the honest: nothing is published."""
    honest = {"coinbase": 50000, "kraken": 50001, "bitstamp": 50002}
    play({**honest, "gemini": 500_000, "okx": 50003})
    play({**honest, "gemini": 500_000, "okx": 505_000})
    update = play(coinbase=50000, kraken=None, bitstamp=None, gemini=500_000, okx=505_000)
    assert update.status is Status.STALE
    assert "most exchanges contradict those that may vote" in update.reason


# Jumps


def test_a_jump_that_few_vouch_for_waits_a_round(play: Play) -> None:
    play(coinbase=50000, kraken=50001)
    held = play(coinbase=53000, kraken=53001)
    assert (held.status, price(held)) == (Status.STALE, Decimal("50000.50"))
    assert held.reason == "The last price stands: a move of more than 5 % waits for confirmation."
    assert used(held) == set()
    confirmed = play(coinbase=53010, kraken=53011)
    assert (confirmed.status, price(confirmed)) == (Status.DEGRADED, Decimal("53010.50"))
    assert confirmed.reason == "2 exchanges agree. Confirmed after a move of more than 5 %."
    assert play(coinbase=53010, kraken=53011).reason == "2 exchanges agree."


@pytest.mark.parametrize("interval", [10, 301, 600, 3600])
def test_a_jump_waits_a_round_however_long_that_is(interval: int) -> None:
    policy, step = Consensus(interval), interval * 1000
    rounds = enumerate([60000, 90000, 90000])
    said = [(START + number * step, {"kraken": dollars}) for number, dollars in rounds]
    updates = [policy.decide(answers(now, prices), now) for now, prices in said]
    assert [price(update) for update in updates] == [60000, 60000, 90000]
    assert [update.status for update in updates] == [
        Status.SINGLE_SOURCE,
        Status.STALE,
        Status.SINGLE_SOURCE,
    ]


@pytest.mark.parametrize("interval", [10, 600])
def test_who_was_excluded_stays_out_the_next_round_however_long_that_is(interval: int) -> None:
    policy, step = Consensus(interval), interval * 1000
    for now, liar in ((START, 80000), (START + step, 60100)):
        said = {"coinbase": 60000, "kraken": 60000, "gemini": 60000, "bitstamp": liar}
        update = policy.decide(answers(now, said), now)
    assert "bitstamp" not in used(update)


def test_a_jump_elsewhere_is_no_confirmation(play: Play) -> None:
    play(coinbase=50000)
    assert [play(coinbase=lie).status for lie in (500_000, 5_000, 500_000)] == [Status.STALE] * 3


def test_a_jump_of_three_that_agree_is_not_held(play: Play) -> None:
    play(FOUR)
    update = play({name: cost * 2 for name, cost in FOUR.items()})
    assert (update.status, price(update)) == (Status.OK, Decimal("100030.00"))


# Tethers


def tether(now: int, rate: str | None, cost: int = 50000) -> Answer:
    more = {"currency": "USDT", "rate": None if rate is None else Decimal(rate)}
    return says("okx", cost, now, **more)


@pytest.mark.parametrize("rate", [None, "NaN", "0", "-1"])
def test_tethers_without_a_live_rate_have_no_vote(play: Play, rate: str | None) -> None:
    assert reasons(play({**FOUR, "okx": tether(START + STEP, rate)}))["okx"] == "no live USDT/USD rate"


def test_converted_tethers_count_with_more_doubt(play: Play) -> None:
    update = play(coinbase=49000, kraken=49000, okx=tether(START + STEP, "0.98"))
    assert update.status is Status.OK
    assert (update.quotes[2].price, update.quotes[2].confidence) == (
        Decimal("49000.0000"),
        Decimal("98.0000"),
    )


def test_a_rate_is_ignored_where_prices_are_in_dollars(play: Play) -> None:
    assert play(coinbase=says("coinbase", 50000, START + STEP, rate=Decimal(2))).quotes[0].rate is None


# Reasons, order, arithmetic


def test_reasons_do_not_tick(play: Play) -> None:
    play(FOUR)
    failing = {**FOUR, "coinbase": None, "gemini": timed("gemini", START, START)}
    said = [play(failing).reason for _ in range(8)]
    assert said[3:] == [
        "2 of 4 exchanges agree; coinbase: HTTP 503; gemini: its quote is older than 30 s."
    ] * len(said[3:])


def test_a_half_cent_goes_to_the_even_one(play: Play) -> None:
    assert price(play(coinbase="100.01", kraken="100.02")) == Decimal("100.02")
    assert price(play(coinbase="100.02", kraken="100.03")) == Decimal("100.02")


def test_what_is_shown_of_a_vote_is_not_what_is_computed_with(play: Play) -> None:
    update = play({**FOUR, "coingecko": 50000})
    assert update.tick is not None
    shown = tuple(
        replace(judged, price=Decimal(1), confidence=None if judged.confidence is None else Decimal(1))
        for judged in update.tick.quotes
    )
    assert recompute(replace(update.tick, quotes=shown)) == (update.tick.price, update.tick.spread)


def test_stale_ticks_have_nothing_to_recompute(play: Play) -> None:
    play(FOUR)
    update = play(dict.fromkeys(FOUR))
    assert update.tick is not None
    assert recompute(update.tick) is None


def test_a_method_of_another_version_is_not_recomputed(play: Play) -> None:
    tick = play(FOUR).tick
    assert tick is not None
    with pytest.raises(ValueError, match="vote9/7"):
        recompute(replace(tick, method="vote9/7"))


def test_the_same_rounds_give_the_same_updates() -> None:
    said = [
        answers(START + STEP * n, {**FOUR, "gemini": 50000 + 700 * n, "coingecko": 50005}) for n in range(9)
    ]
    one, other = Play(Consensus(INTERVAL)), Play(Consensus(INTERVAL))
    assert [one.given(each) for each in said] == [other.given(each) for each in said]
