"""What holds whatever the sources say: proved as far as Hypothesis can."""

from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.fallback import Fallback
from btc_price_tracker.price.model import Answer, Kind, Quote, Status, Tick
from btc_price_tracker.price.parameters import OFFSET_LIMIT
from btc_price_tracker.price.recompute import recompute
from btc_price_tracker.price.votes import Vote, combine, to_the_cent, vote
from rounds import INTERVAL, START, STEP

EXCHANGES = ("coinbase", "kraken", "bitstamp", "gemini", "okx")
CENT = Decimal("0.01")
EXAMPLES = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

amounts = st.decimals(min_value="0.01", max_value="99999999", places=2)
anything = st.one_of(
    amounts, st.sampled_from([Decimal(text) for text in ("NaN", "-Infinity", "-1", "0", "1e30")])
)


class Played(NamedTuple):
    """One round: what each source answers, and which of the exchanges are honest."""

    now: int
    answers: list[Answer]
    honest: set[str]


REACH = (
    49  # bp either side: honest exchanges lie within 98 bp of each other, which the assumption allows (1 %)
)


@st.composite
def honest(draw: st.DrawFn, source: str, base: Decimal, now: int, reach: int = REACH) -> Answer:
    """Within `reach` bp of the base, with or without a book, up to 25 s old."""
    middle = (base * (1 + Decimal(draw(st.integers(-reach, reach))) / 10_000)).quantize(CENT)
    half = draw(st.integers(1, 3000)) * CENT
    bid, ask = (middle - half, middle + half) if draw(st.booleans()) else (None, None)
    time = now - draw(st.integers(0, 25_000))
    return Answer(source, Kind.EXCHANGE, quote=Quote(middle, bid, ask, time), received_at=now)


@st.composite
def faulty(draw: st.DrawFn, source: str, base: Decimal, now: int) -> Answer:
    """Anything: silent, absurd, a little or far off, skewed in time."""
    if draw(st.integers(0, 5)) == 0:
        return Answer(source, Kind.EXCHANGE, fault="HTTP 503")
    lie = st.sampled_from(["10", "0.1", "1.049", "0.951", "1.051", "1.009", "0.991", "1.016", "1.02", "1"])
    last = draw(st.one_of(lie.map(lambda factor: (base * Decimal(factor)).quantize(CENT)), anything))
    bid, ask = draw(st.one_of(st.just((None, None)), st.tuples(anything, anything)))
    time = draw(st.one_of(st.none(), st.sampled_from([-3_600_000, -31_000, 0, 29_000, 3_600_000])))
    quote = Quote(last, bid, ask, None if time is None else now + time)
    return Answer(source, Kind.EXCHANGE, quote=quote, received_at=now)


@st.composite
def aggregator(draw: st.DrawFn, base: Decimal, now: int) -> Answer:
    factor = draw(st.sampled_from(["1", "1.005", "1.049", "10"]))
    quote = Quote((base * Decimal(factor)).quantize(CENT), time=now - draw(st.integers(0, 130_000)))
    return Answer("coingecko", Kind.AGGREGATOR, quote=quote, received_at=now)


@st.composite
def histories(draw: st.DrawFn, *, minority: bool, reach: int = REACH) -> list[Played]:
    """Rounds in which other exchanges are faulty each time; with `minority` always fewer than half of them."""
    names = EXCHANGES[: draw(st.integers(1, 5))]
    most = (len(names) - 1) // 2 if minority else len(names)
    base, rounds = Decimal(draw(st.sampled_from([1000, 27_123, 98_765]))), []
    for number in range(draw(st.integers(1, 7))):
        now = START + STEP * number
        base *= 1 + Decimal(draw(st.integers(-100, 100))) / 10_000
        bad = draw(st.sets(st.sampled_from(names), max_size=most)) if most else set()
        said = [
            draw(faulty(name, base, now) if name in bad else honest(name, base, now, reach)) for name in names
        ]
        if draw(st.booleans()):
            said.append(draw(aggregator(base, now)))
        rounds.append(Played(now, said, set(names) - bad))
    return rounds


def quotes(answer: Answer) -> tuple[Decimal, Decimal]:
    """Bid and ask, or the last trade for both."""
    assert answer.quote is not None
    bid, ask = answer.quote.bid, answer.quote.ask
    return (answer.quote.last, answer.quote.last) if bid is None or ask is None else (bid, ask)


@given(histories(minority=True))
@EXAMPLES
def test_with_a_minority_faulty_the_price_lies_within_the_honest_quotes(history: list[Played]) -> None:
    policy = Consensus(INTERVAL)
    for played in history:
        update = policy.decide(played.answers, played.now)
        books = [quotes(answer) for answer in played.answers if answer.source in played.honest]
        if update.tick is not None and update.status is not Status.STALE:
            assert min(bid for bid, _ in books) <= update.tick.price <= max(ask for _, ask in books)


@given(st.sampled_from([60, 150, 400]).flatmap(lambda reach: histories(minority=True, reach=reach)))
@EXAMPLES
def test_without_the_assumption_the_price_is_off_by_about_half_the_width(history: list[Played]) -> None:
    """However far honest exchanges are apart; the width is that of the bids and asks of the voters."""
    policy = Consensus(INTERVAL)
    for played in history:
        update = policy.decide(played.answers, played.now)
        books = [quotes(answer) for answer in played.answers if answer.source in played.honest]
        if update.tick is None or update.status is Status.STALE:
            continue
        voters = [vote(replace(each, offset=None)) for each in update.quotes if each.used]
        half = (max(each.ask for each in voters) - min(each.bid for each in voters)) / 2 + Fraction(CENT)
        half += max(each.confidence for each in voters) / 2 + 2 * OFFSET_LIMIT * Fraction(update.tick.price)
        lowest, highest = Fraction(min(bid for bid, _ in books)), Fraction(max(ask for _, ask in books))
        assert lowest - half <= Fraction(update.tick.price) <= highest + half


fractions = st.integers(0, 10**6).map(lambda thirds: Fraction(thirds, 3))


@st.composite
def votes(draw: st.DrawFn) -> Vote:
    bid, price, ask = sorted(draw(st.tuples(fractions, fractions, fractions)))
    return Vote(bid, price, ask, draw(fractions))


@given(st.data())
@EXAMPLES
def test_the_bounds_hold_for_any_votes_of_a_faulty_minority_and_any_choice_of_voters(
    data: st.DataObject,
) -> None:
    faulty_votes = data.draw(st.lists(votes(), max_size=4))
    honest_votes = data.draw(
        st.lists(votes(), min_size=len(faulty_votes) + 1, max_size=len(faulty_votes) + 3)
    )
    fresh = data.draw(st.permutations(faulty_votes + honest_votes))
    used = data.draw(st.lists(st.sampled_from(fresh), min_size=1))
    price, spread = combine(used, fresh)
    assert min(vote.bid for vote in honest_votes) <= price <= max(vote.ask for vote in honest_votes)
    assert spread >= 0


@given(st.lists(votes(), min_size=1, max_size=7))
@EXAMPLES
def test_unbounded_the_price_lies_within_the_prices_of_those_used(used: list[Vote]) -> None:
    price, _ = combine(used)
    assert min(vote.price for vote in used) <= price <= max(vote.price for vote in used)


@given(st.integers(0, 10**12).map(lambda part: Fraction(part, 800)))
@EXAMPLES
def test_cents_are_at_most_half_a_cent_away_and_ties_are_even(dollars: Fraction) -> None:
    rounded = to_the_cent(dollars)
    away = abs(Fraction(rounded) - dollars) * 100
    assert rounded.as_tuple().exponent == -2
    assert away < Fraction(1, 2) or (away == Fraction(1, 2) and int(rounded * 100) % 2 == 0)


@given(histories(minority=False), st.randoms(use_true_random=False))
@EXAMPLES
def test_whatever_is_said_the_promises_of_a_tick_hold(history: list[Played], random: Random) -> None:
    """ok needs three; ids rise; a price can be computed again; the order of the sources changes nothing."""
    policy, shuffled = Consensus(INTERVAL), Consensus(INTERVAL)
    last: Tick | None = None
    for played in history:
        update = policy.decide(played.answers, played.now)
        others = list(played.answers)
        random.shuffle(others)
        same = shuffled.decide(others, played.now)
        tick = update.tick
        assert (same.status, same.tick and same.tick.price) == (update.status, tick and tick.price)
        if update.status is Status.OK:
            assert tick is not None
            near = [
                judged
                for judged in tick.quotes
                if judged.used and judged.price and abs(judged.price / tick.price - 1) < Decimal("0.0101")
            ]
            assert len([judged for judged in near if judged.kind is Kind.EXCHANGE]) >= 3
        if tick is not None:
            assert recompute(tick) == (None if update.status is Status.STALE else (tick.price, tick.spread))
            assert tick.sources == sum(judged.used for judged in tick.quotes)
            assert last is None or tick.id > last.id
        assert all((judged.reason is None) == judged.used for judged in update.quotes)
        last = tick or last


@given(
    st.lists(st.tuples(st.integers(-(10**7), 10**7), st.booleans()), min_size=1, max_size=20), st.booleans()
)
@EXAMPLES
def test_ids_rise_whatever_the_clock_does(steps: list[tuple[int, bool]], use_fallback: bool) -> None:  # noqa: FBT001 drawn by Hypothesis
    policy = Fallback(INTERVAL) if use_fallback else Consensus(INTERVAL)
    now, ids = START, []
    for step, speaks in steps:
        now += step
        quote = Quote(Decimal(50000)) if speaks else None
        update = policy.decide([Answer("kraken", Kind.EXCHANGE, quote=quote, received_at=now)], now)
        ids += [update.tick.id] if update.tick else []
    assert ids == sorted(set(ids))
