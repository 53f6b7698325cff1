"""The price while sources fail and lie, from their sockets to the tick: each trouble alone, in pairs, at random.

Time is simulated (a round is 10 s), HTTP is real. The sources: five exchanges and CoinGecko.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from btc_price_tracker.http_client.client import Client
from btc_price_tracker.price.model import AssessedQuote, Kind, State, Status
from btc_price_tracker.price.recompute import recompute
from btc_price_tracker.sources.endpoint import open_client
from troubles import BOOKLESS, EVERY, TROUBLES, Trouble, named
from venues import ALL, EXCHANGES, INTERVAL, TIMED, Round, Venues, venues

PERCENT = Decimal("0.01")
SURE = Decimal("0.01")  # an `ok` price is no farther than this from the quotes of two honest sources
AT_ONCE = 3  # troubled services side by side: while one waits for a source that hangs, the others go on
PARTNERS = 4  # of each trouble beside itself, drawn from all
RECOVERED_IN = 12  # rounds: the longest jittered opening of a circuit (72 s), and some for readmission


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that don't resolve must fail here and not at a proxy of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    with capture_logs():
        async with open_client() as client:
            yield client


def check(round_: Round) -> None:
    """What holds in every round, whatever the sources do."""
    if round_.price is None:
        return
    tick = round_.update.tick
    assert tick
    assert recompute(tick) == (tick.price, tick.spread)
    exchanges, honest = among_exchanges(round_.fresh), among_exchanges(round_.honest)
    if 2 * len(honest) > len(exchanges):
        assert distance(round_.price, honest) == 0
    if round_.update.status is Status.OK:
        assert sum(distance(round_.price, [quote]) <= PERCENT for quote in exchanges) >= 3
        assert len(round_.honest) < 2 or distance(round_.price, round_.honest) <= SURE


def among_exchanges(quotes: Sequence[AssessedQuote]) -> list[AssessedQuote]:
    return [quote for quote in quotes if quote.kind is Kind.EXCHANGE]


def distance(price: Decimal, quotes: Sequence[AssessedQuote]) -> Decimal:
    """How far a price is below the lowest bid or above the highest ask, as a part of itself; 0 between them."""
    lowest = min(quote.bid if quote.bid and quote.ask else quote.last or price for quote in quotes)
    highest = max(quote.ask if quote.bid and quote.ask else quote.last or price for quote in quotes)
    return max(lowest - price, price - highest, Decimal(0)) / price


async def endured(
    market: Venues, troubles: Mapping[str, Trouble], rounds: int, status: Sequence[Status] | None = None
) -> list[Round]:
    """So many rounds with these troubles; each checked, and its status one of these."""
    market.troubles = dict(troubles)
    history = await market.rounds(rounds)
    for round_ in history:
        check(round_)
        assert status is None or round_.update.status in status, round_.update.reason
    return history


async def recover(market: Venues) -> None:
    """Without troubles everybody votes again before long: bans are waited for, circuits within the bound."""
    market.troubles = {}
    if (ban := max(state.next_try for state in market.poller.states())) > RECOVERED_IN * INTERVAL:
        await market.leap(ban)
    for _ in range(RECOVERED_IN):
        round_ = await market.round()
        check(round_)
        if round_.update.status is Status.OK and _all_are_well(round_):
            return
    raise AssertionError(round_)


def _all_are_well(round_: Round) -> bool:
    votes = {quote.source for quote in round_.update.quotes if quote.used}
    return votes == set(EXCHANGES) and {state.state for state in round_.states} == {State.OK}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
async def test_one_faulty_source_keeps_ok_and_shows_its_reason(client: Client, trouble: Trouble) -> None:
    async def alone(source: str) -> None:
        async with venues(client) as market:
            await endured(market, {}, 2, [Status.OK])
            history = await endured(market, {source: trouble}, 8, [Status.OK])
            assert any(re.search(trouble.shows, round_.shown(source)) for round_ in history)
            await recover(market)

    async with asyncio.TaskGroup() as tasks:
        for source in TIMED[:1] if trouble.needs_time else ("coinbase", "kraken"):
            tasks.create_task(alone(source))


@pytest.mark.parametrize("trouble", BOOKLESS, ids=lambda trouble: trouble.name)
@pytest.mark.parametrize("source", EXCHANGES)
async def test_invalid_book_falls_back_to_the_last_trade(
    client: Client, trouble: Trouble, source: str
) -> None:
    async with venues(client) as market:
        for round_ in await endured(market, {source: trouble}, 2, [Status.OK]):
            (quote,) = (quote for quote in round_.update.quotes if quote.source == source)
            assert quote.used
            assert None in (quote.bid, quote.ask)


@pytest.mark.proof
@pytest.mark.parametrize("one", EVERY, ids=lambda trouble: trouble.name)
async def test_two_faulty_of_five_leave_an_honest_price(client: Client, one: Trouble) -> None:
    limit = asyncio.Semaphore(AT_ONCE)
    random = Random(one.name)

    async def together(other: Trouble, sources: list[str]) -> None:
        async with limit, venues(client) as market:
            history = await endured(
                market, dict(zip(sources, (one, other), strict=True)), 5, [Status.OK, Status.DEGRADED]
            )
            for round_ in history:
                assert round_.price is not None
                assert round_.update.status is Status.OK or len(round_.honest) == len(round_.fresh) - 2

    async with asyncio.TaskGroup() as tasks:
        for other in [one, *random.sample(EVERY, PARTNERS)]:
            tasks.create_task(together(other, random.sample(EXCHANGES, 2)))


@pytest.mark.proof
@pytest.mark.parametrize("trouble", EVERY, ids=lambda trouble: trouble.name)
async def test_faulty_majority_never_yields_a_wrong_ok_price(client: Client, trouble: Trouble) -> None:
    async def many(sources: Sequence[str]) -> None:
        async with venues(client) as market:
            await endured(market, dict.fromkeys(sources, trouble), 10)
            await recover(market)

    async with asyncio.TaskGroup() as tasks:
        for sources in (TIMED, EXCHANGES[:4]):
            tasks.create_task(many(sources))


@pytest.mark.parametrize("trouble", [named("503"), named("DNS")], ids=lambda trouble: trouble.name)
async def test_total_outage_ages_then_ends_then_restores_the_price(client: Client, trouble: Trouble) -> None:
    async with venues(client) as market:
        await endured(market, {}, 2, [Status.OK])
        history = await endured(market, dict.fromkeys(ALL, trouble), 40)
        stale = [round_.update for round_ in history if round_.update.status is Status.STALE]
        ticks = [update.tick for update in stale if update.tick]
        ages = [tick.age for tick in ticks]
        # The first of these rounds takes longer: it retries. Later ones find the circuits open.
        assert ages[1:] == list(range(ages[1], 301, INTERVAL))
        assert len({tick.price for tick in ticks}) == 1
        assert len(stale) > len(ticks)
        for update in stale[len(ticks) :]:
            assert update.tick is None
            assert update.reason.startswith("No price for more than 300 s: no source is usable; coinbase")
        await recover(market)
        assert market.policy.last
        assert market.policy.last.id > ticks[-1].id


TROUBLED = st.dictionaries(st.sampled_from(ALL), st.sampled_from(EVERY), max_size=4)


@pytest.mark.proof
@given(st.lists(TROUBLED, min_size=2, max_size=8))
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
async def test_random_faults_leave_an_honest_price_and_sources_recover(
    story: list[dict[str, Trouble]],
) -> None:
    with capture_logs():
        async with open_client() as client, venues(client) as market:
            for troubles in story:
                await endured(market, troubles, 1)
            await recover(market)
