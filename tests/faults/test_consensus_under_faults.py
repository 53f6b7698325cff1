"""The price while sources fail and lie, from their sockets to the tick: each trouble alone, in pairs, at random.

Time is simulated (a round is 10 s), HTTP is real. The sources: five exchanges and CoinGecko.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from random import Random

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from structlog.testing import capture_logs

from btc_price_tracker.playback import Fault
from btc_price_tracker.price.model import Judged, Kind, Quote, Status
from btc_price_tracker.price.recompute import recompute
from btc_price_tracker.sources.endpoint import open_client
from venues import ALL, EXCHANGES, INTERVAL, TIMED, Round, Trouble, Venues, venues

HOUR = 3_600_000  # ms
MIB = 1 << 20
PERCENT = Decimal("0.01")
SURE = Decimal("0.025")  # an `ok` price is no farther than this from what two honest sources say
AT_ONCE = 3  # troubled services side by side: while one waits for a source that hangs, the others go on
PARTNERS = 8  # of each trouble, drawn from all
RECOVERED_IN = 12  # rounds: the longest jittered opening of a circuit (72 s), and some for readmission


def scaled(*factors: str) -> tuple[Fault, ...]:
    return tuple(Fault(scale=Decimal(factor)) for factor in factors)


def shifted(now: Quote, ms: int) -> Quote:
    return replace(now, time=(now.time or 0) + ms)


TEXT = {
    "coinbase": b'{"price":"cheap","bid":"cheap","ask":"cheap","time":"2025-11-24T16:00:00Z"}',
    "kraken": b'{"error":[],"result":{"XXBTZUSD":{"a":["cheap"],"b":["cheap"],"c":["cheap"]}}}',
    "bitstamp": b'{"last":"cheap","bid":"cheap","ask":"cheap","timestamp":"1764000000"}',
    "gemini": b'{"last":"cheap","bid":"cheap","ask":"cheap"}',
    "binanceus": b'{"symbol":"BTCUSD","lastPrice":"cheap","bidPrice":"cheap","askPrice":"cheap"}',
    "coingecko": b'{"bitcoin":{"usd":"cheap"}}',
}

TROUBLES = [
    Trouble("price x 10", "excluded", scaled("10")),
    Trouble("price / 10", "excluded", scaled("0.1")),
    Trouble("+4.9 %", "more than 1 % from the price", scaled("1.049")),
    Trouble("-4.9 %", "more than 1 % from the price", scaled("0.951")),
    Trouble("5.1 % up and down", "excluded", scaled("1.051", "0.949")),
    Trouble("4.9 and 5.1 %", "excluded", scaled("1.049", "1.051")),
    Trouble("5.1 % and back", "excluded", scaled("1.051", "1")),
    Trouble("negative", "not a plain positive number", scaled("-1")),
    Trouble("a text", "not a plain positive number", bodies=TEXT),
    Trouble("frozen value", "frozen|more than 1 % from", says=lambda now, was: replace(was, time=now.time)),
    Trouble("frozen altogether", "frozen|older than", says=lambda _now, was: was),
    Trouble("frozen time", "older than", says=lambda now, was: replace(now, time=was.time), needs_time=True),
    Trouble("an hour ahead", "ahead of ours", says=lambda now, _: shifted(now, HOUR), needs_time=True),
    Trouble("an hour behind", "older than", says=lambda now, _: shifted(now, -HOUR), needs_time=True),
    Trouble("empty", "not JSON", (Fault(body=b""),)),
    Trouble("HTML", "HTML", (Fault(body=b"<!DOCTYPE html><title>Just a moment...</title>"),)),
    Trouble("429, wait 30 s", "HTTP 429", (Fault(status=429, headers={"Retry-After": "30"}),)),
    Trouble("429", "HTTP 429", (Fault(status=429),)),
    Trouble("418", "HTTP 418: banned", (Fault(status=418),)),
    Trouble("451", "HTTP 451: not offered", (Fault(status=451),)),
    Trouble("500", "HTTP 500", (Fault(status=500),)),
    Trouble("503", "HTTP 503", (Fault(status=503),)),
    Trouble("hang", "no whole answer in time", (Fault(hang=True),), takes_all_time=True),
    Trouble("slow drip", "no whole answer in time", (Fault(drip=0.05),), takes_all_time=True),
    Trouble("reset", "the connection broke", (Fault(reset="head"), Fault(reset="body"))),
    Trouble("redirect loop", "HTTP 302: it redirects", (Fault(status=302, headers={"Location": "/kraken"}),)),
    Trouble("10 MiB", "larger than", (Fault(flood=10 * MIB),)),
    Trouble("gzip bomb", "larger than", (Fault(bomb=64 * MIB),)),
    Trouble("length too long", "broke off", (Fault(headers={"Content-Length": "5000"}),)),
    Trouble("length too short", "not JSON", (Fault(headers={"Content-Length": "20"}),)),
    Trouble("TLS", "TLS failed", url="https://127.0.0.1:{stranger}"),
    Trouble("DNS", "can't be resolved", url="http://-.invalid"),  # refused without a question to the network
]
# The last trade stands in for a book that makes no sense, so nobody is wronged and nothing needs saying.
BOOKLESS = [
    Trouble("crossed book", "", says=lambda now, _: replace(now, bid=now.ask, ask=now.bid)),
    Trouble("no ask", "", says=lambda now, _: replace(now, ask=Decimal(0))),
    Trouble("no bid", "", says=lambda now, _: replace(now, bid=Decimal(0))),
]
EVERY = [*TROUBLES, *BOOKLESS]


def named(name: str) -> Trouble:
    return next(trouble for trouble in EVERY if trouble.name == name)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that don't resolve are for us to see, not for a proxy of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    with capture_logs():
        async with open_client() as client:
            yield client


def check(this: Round) -> None:
    """What holds in every round, whatever the sources do."""
    if this.price is None:
        return
    tick = this.update.tick
    assert tick
    assert recompute(tick) == (tick.price, tick.spread)
    exchanges, honest = among_exchanges(this.fresh), among_exchanges(this.honest)
    if 2 * len(honest) > len(exchanges):
        assert distance(this.price, honest) == 0
    if this.update.status is Status.OK:
        assert sum(distance(this.price, [said]) <= PERCENT for said in exchanges) >= 3
        assert len(this.honest) < 2 or distance(this.price, this.honest) <= SURE


def among_exchanges(quotes: Sequence[Judged]) -> list[Judged]:
    return [said for said in quotes if said.kind is Kind.EXCHANGE]


def distance(price: Decimal, quotes: Sequence[Judged]) -> Decimal:
    """How far a price is below the lowest bid or above the highest ask, as a part of itself; 0 between them."""
    lowest = min(said.bid if said.bid and said.ask else said.last or price for said in quotes)
    highest = max(said.ask if said.bid and said.ask else said.last or price for said in quotes)
    return max(lowest - price, price - highest, Decimal(0)) / price


async def endured(
    its: Venues, troubles: Mapping[str, Trouble], rounds: int, status: Sequence[Status] | None = None
) -> list[Round]:
    """So many rounds with these troubles; each checked, and its status one of these."""
    its.troubles = dict(troubles)
    history = await its.rounds(rounds)
    for this in history:
        check(this)
        assert status is None or this.update.status in status, this.update.reason
    return history


async def recover(its: Venues) -> None:
    """Without troubles everybody votes again before long: bans are waited for, circuits within the bound."""
    its.troubles = {}
    if (ban := max(state.next_try for state in its.panel.states())) > RECOVERED_IN * INTERVAL:
        await its.leap(ban)
    for _ in range(RECOVERED_IN):
        this = await its.round()
        check(this)
        if this.update.status is Status.OK and _all_vote(this):
            return
    raise AssertionError(this.update)


def _all_vote(this: Round) -> bool:
    return {said.source for said in this.update.quotes if said.used} == set(EXCHANGES)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
async def test_one_source_in_trouble_never_matters_and_shows_its_reason(
    client: httpx2.AsyncClient, trouble: Trouble
) -> None:
    async def alone(source: str) -> None:
        async with venues(client) as its:
            await endured(its, {}, 2, [Status.OK])
            history = await endured(its, {source: trouble}, 8, [Status.OK])
            assert any(re.search(trouble.shows, this.shown(source)) for this in history)
            await recover(its)

    async with asyncio.TaskGroup() as tasks:
        for source in TIMED[:1] if trouble.needs_time else ("coinbase", "kraken"):
            tasks.create_task(alone(source))


@pytest.mark.parametrize("trouble", BOOKLESS, ids=lambda trouble: trouble.name)
@pytest.mark.parametrize("source", EXCHANGES)
async def test_without_a_sound_book_the_last_trade_votes(
    client: httpx2.AsyncClient, trouble: Trouble, source: str
) -> None:
    async with venues(client) as its:
        for this in await endured(its, {source: trouble}, 2, [Status.OK]):
            (said,) = (said for said in this.update.quotes if said.source == source)
            assert said.used
            assert None in (said.bid, said.ask)


@pytest.mark.parametrize("one", EVERY, ids=lambda trouble: trouble.name)
async def test_two_of_five_in_trouble_leave_an_honest_price(client: httpx2.AsyncClient, one: Trouble) -> None:
    limit = asyncio.Semaphore(AT_ONCE)
    random = Random(one.name)

    async def together(other: Trouble, sources: list[str]) -> None:
        async with limit, venues(client) as its:
            history = await endured(
                its, dict(zip(sources, (one, other), strict=True)), 5, [Status.OK, Status.DEGRADED]
            )
            for this in history:
                assert this.price is not None
                assert this.update.status is Status.OK or len(this.honest) == len(this.fresh) - 2

    async with asyncio.TaskGroup() as tasks:
        for other in random.sample(EVERY, PARTNERS):
            tasks.create_task(together(other, random.sample(EXCHANGES, 2)))


@pytest.mark.parametrize("trouble", EVERY, ids=lambda trouble: trouble.name)
async def test_most_in_the_same_trouble_are_never_believed_for_sure(
    client: httpx2.AsyncClient, trouble: Trouble
) -> None:
    async def many(sources: Sequence[str]) -> None:
        async with venues(client) as its:
            await endured(its, dict.fromkeys(sources, trouble), 8)
            await recover(its)

    async with asyncio.TaskGroup() as tasks:
        for sources in (TIMED, EXCHANGES[:4]):
            tasks.create_task(many(sources))


@pytest.mark.parametrize("trouble", [named("503"), named("DNS"), named("a text")], ids=lambda its: its.name)
async def test_when_all_are_down_the_price_ages_then_ends_then_comes_back(
    client: httpx2.AsyncClient, trouble: Trouble
) -> None:
    async with venues(client) as its:
        await endured(its, {}, 2, [Status.OK])
        history = await endured(its, dict.fromkeys(ALL, trouble), 40)
        stale = [this.update for this in history if this.update.status is Status.STALE]
        ticks = [update.tick for update in stale if update.tick]
        assert [tick.age for tick in ticks] == list(range(ticks[0].age, 301, INTERVAL))
        assert len({tick.price for tick in ticks}) == 1
        assert len(stale) > len(ticks)
        for update in stale[len(ticks) :]:
            assert update.tick is None
            assert update.reason.startswith("No price for more than 300 s: no source is usable; coinbase")
        await recover(its)
        assert its.policy.last
        assert its.policy.last.id > ticks[-1].id


TROUBLED = st.dictionaries(st.sampled_from(ALL), st.sampled_from(EVERY), max_size=4)


@given(st.lists(TROUBLED, min_size=2, max_size=8))
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
async def test_whatever_happens_to_most_of_them_the_price_is_honest_and_they_recover(
    story: list[dict[str, Trouble]],
) -> None:
    with capture_logs():
        async with open_client() as client, venues(client) as its:
            for troubles in story:
                await endured(its, troubles, 1)
            await recover(its)
