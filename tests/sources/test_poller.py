"""All sources together: side by side or in order, and the rate of tethers; over HTTP against the playback."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import pairwise
from random import Random

import pytest

from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.http_client.client import Client
from btc_price_tracker.playback import Fault, Playback, Script
from btc_price_tracker.price import consensus, fallback
from btc_price_tracker.price.fallback import Fallback
from btc_price_tracker.price.model import Answer, Quote, State
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.connect import connect
from btc_price_tracker.sources.endpoint import open_client
from btc_price_tracker.sources.poller import LATE, TURNS, Enough, Poller, deadline
from btc_price_tracker.sources.rates import LASTS, Rates
from btc_price_tracker.sources.tether import TETHERS
from btc_price_tracker.sources.upstream import Upstream
from btc_price_tracker.testing import ManualClock, eventually
from timeouts import leap

NAMES = ("coinbase", "kraken", "bitstamp")
SECONDS = 10.0  # of a round: more than a busy machine needs, and nobody waits for them to pass


@pytest.fixture
def script() -> Script:
    prices = {name: Quote(Decimal(90_000)) for name in (*NAMES, "gemini", "binanceus", "okx", "tether")}
    prices["tether"] = Quote(Decimal("0.99"), Decimal("0.98"), Decimal("1.00"))
    return Script(prices)


@pytest.fixture
async def playback(script: Script) -> AsyncIterator[Playback]:
    async with Playback(script) as playback:
        yield playback


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with open_client() as client:
        yield client


def fresh(answer: Answer, now: int) -> bool:
    return answer.quote is not None and now - answer.received_at <= 30_000


def never(*_: object) -> bool:
    """It is not enough while anybody may still answer."""
    return False


def fit(answers: Sequence[Answer], now: int) -> bool:
    return any(answer.fault is None and fresh(answer, now) for answer in answers)


def upstreams(playback: Playback, client: Client, names: Sequence[str], clock: Clock) -> list[Upstream]:
    return [
        connect(replace(SOURCES[name], url=playback.url(name)), client, clock, Random(1)) for name in names
    ]


def poller_of(
    playback: Playback,
    client: Client,
    names: Sequence[str] = NAMES,
    *,
    fallback: bool = False,
    clock: Clock | None = None,
    enough: Enough = fit,
    seconds: float = SECONDS,
) -> Poller:
    clock = clock or SystemClock()
    asked = upstreams(playback, client, names, clock)
    rates = {
        name: connect(replace(source, url=playback.url(name)), client, clock, Random(1))
        for name, source in TETHERS.items()
    }
    for kraken in (upstream for upstream in asked if upstream.source.name == "kraken"):
        rates["kraken"].share_api(kraken)
    return Poller(
        upstreams=asked,
        clock=clock,
        seconds=seconds,
        fresh=fresh,
        enough=enough,
        fallback=fallback,
        rates=Rates(rates, clock) if "okx" in names else None,
    )


@pytest.mark.parametrize(("interval", "seconds"), [(1, 0.8), (5, 4.0), (10, 5.0), (3600, 5.0)])
def test_a_round_ends_well_before_the_next(interval: float, seconds: float) -> None:
    assert deadline(interval) == seconds


async def test_all_are_asked_and_answer_in_the_configured_order(playback: Playback, client: Client) -> None:
    playback.faults["coinbase"] = Fault(delay=0.1)
    answers = await poller_of(playback, client, enough=never).poll()
    assert [(answer.source, answer.fault) for answer in answers] == [(name, None) for name in NAMES]
    assert all(answer.quote and answer.quote.last == 90_000 for answer in answers)


async def test_the_slow_are_given_up_together_and_keep_nobody_waiting(
    playback: Playback, client: Client
) -> None:
    playback.faults.update(coinbase=Fault(hang=True), kraken=Fault(drip=0.1))
    poller = poller_of(playback, client, enough=never, seconds=60)
    asking = asyncio.create_task(poller.poll())
    await eventually(lambda: poller.states()[2].quote)
    assert not asking.done()
    leap(60)
    async with asyncio.timeout(30):
        answers = await asking
    assert [answer.fault for answer in answers] == ["no whole answer in time"] * 2 + [None]


async def test_once_it_is_enough_who_is_late_is_waited_for_no_longer_and_asked_no_second_time(
    playback: Playback, client: Client
) -> None:
    playback.faults["gemini"] = Fault(hang=True)
    names = (*NAMES, "gemini")
    poller = poller_of(playback, client, names, enough=partial(consensus.enough, interval=10_000), seconds=60)
    async with aclosing(poller), asyncio.timeout(30):
        for _ in range(2):
            answers = await poller.poll()
            assert [answer.fault for answer in answers] == [None, None, None, LATE]
    assert len(playback.calls["gemini"]) == 1


async def test_while_it_is_not_enough_all_are_waited_for(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(delay=1.5)
    answers = await poller_of(
        playback, client, enough=partial(consensus.enough, interval=10_000), seconds=60
    ).poll()
    assert [answer.fault for answer in answers] == [None, None, None]


async def test_a_late_answer_serves_the_next_round(script: Script, client: Client) -> None:
    here, there = ManualClock(), ManualClock()  # here it stands still: the quotas allow no second call
    async with Playback(script, there) as playback:
        playback.faults["gemini"] = Fault(delay=1.5)
        poller = poller_of(playback, client, (*NAMES, "gemini"), clock=here, seconds=3.9)
        assert (await poller.poll())[-1].fault == LATE
        await there.sleeping()
        await there.advance(1.5)
        await eventually(lambda: poller.states()[-1].quote)
        late = (await poller.poll())[-1]
    assert late.fault is None
    assert late.quote


async def test_in_order_the_first_that_is_fit_ends_the_questions(playback: Playback, client: Client) -> None:
    poller = poller_of(playback, client, fallback=True)
    assert [answer.source for answer in await poller.poll()] == ["coinbase"]
    assert not playback.calls["kraken"]
    assert [state.state for state in poller.states()] == [State.OK, State.WAITING, State.WAITING]


async def test_in_order_those_that_failed_are_told_with_their_fault(
    playback: Playback, client: Client
) -> None:
    playback.faults["coinbase"] = Fault(status=404)  # which is not tried again
    answers = await poller_of(playback, client, fallback=True).poll()
    assert [(answer.source, answer.fault) for answer in answers] == [
        ("coinbase", "HTTP 404"),
        ("kraken", None),
    ]


async def test_in_order_a_young_quote_does_not_hide_that_its_source_fails(
    playback: Playback, client: Client
) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, fallback=True, clock=clock)
    await poller.poll()
    playback.faults["coinbase"] = Fault(status=404)
    await clock.advance(10)
    answers = await poller.poll()
    assert [(answer.source, answer.fault) for answer in answers] == [
        ("coinbase", "HTTP 404"),
        ("kraken", None),
    ]
    assert answers[0].quote


async def test_in_order_a_quote_that_gives_no_price_does_not_end_the_questions(
    script: Script, playback: Playback, client: Client
) -> None:
    script.quotes["coinbase"] = Quote(Decimal(90_000), time=SystemClock().now() + 90_000)  # a clock ahead
    policy = Fallback(10)
    answers = await poller_of(
        playback, client, fallback=True, enough=partial(fallback.enough, interval=10_000)
    ).poll()
    assert [answer.source for answer in answers] == ["coinbase", "kraken"]
    assert policy.decide(answers, SystemClock().now()).tick


async def test_in_order_a_price_in_tethers_without_their_rate_does_not_end_the_questions(
    script: Script, playback: Playback, client: Client
) -> None:
    del script.quotes["tether"]
    names = ("okx", "gemini")
    answers = await poller_of(
        playback, client, names, fallback=True, enough=partial(fallback.enough, interval=10_000)
    ).poll()
    assert [(answer.source, answer.fault) for answer in answers] == [("okx", None), ("gemini", None)]


async def test_in_order_the_rate_is_asked_for_only_with_a_price_in_tethers(
    playback: Playback, client: Client
) -> None:
    playback.faults["kraken"] = Fault(hang=True)
    names = ("coinbase", "okx")
    async with asyncio.timeout(30):
        answers = await poller_of(playback, client, names, fallback=True, seconds=600).poll()
    assert [answer.source for answer in answers] == ["coinbase"]
    assert not playback.calls["kraken"]


async def test_in_order_slow_sources_get_the_time_that_they_need(script: Script, client: Client) -> None:
    names, clock = (*NAMES, "gemini", "binanceus"), ManualClock()
    async with Playback(script, clock) as playback:
        playback.faults.update(dict.fromkeys(names, Fault(delay=24)))
        poller = poller_of(playback, client, names, fallback=True, clock=clock, seconds=60)
        async with aclosing(poller), asyncio.timeout(60):
            asking = asyncio.create_task(poller.poll())
            await clock.sleeping()
            await go_on(clock, 60 / TURNS - 1)
            await asyncio.sleep(0.05)  # enough for a question
            assert not playback.calls["kraken"]
            await go_on(clock, 1)
            await clock.sleeping(2)
            await go_on(clock, 4)
            answers = await asking
    assert [(answer.source, answer.fault) for answer in answers] == [("coinbase", None), ("kraken", LATE)]


async def test_in_order_sources_that_hang_leave_time_for_the_next(playback: Playback, client: Client) -> None:
    playback.faults.update(coinbase=Fault(hang=True), kraken=Fault(hang=True))
    clock = ManualClock()
    poller = poller_of(playback, client, fallback=True, clock=clock, seconds=60)
    async with aclosing(poller):
        asking = asyncio.create_task(poller.poll())
        for name in ("coinbase", "kraken"):
            await eventually(partial(len, playback.calls[name]))
            assert not playback.calls["bitstamp"]
            await go_on(clock, 60 / TURNS)
        async with asyncio.timeout(10):  # well within the last third
            answers = await asking
    assert [answer.fault for answer in answers] == [LATE, LATE, None]


async def go_on(clock: ManualClock, seconds: float) -> None:
    """Let time pass, for timeouts as well."""
    await clock.advance(seconds)
    leap(seconds)


async def test_in_order_a_quote_that_is_offered_again_counts_while_it_is_fresh(
    playback: Playback, client: Client
) -> None:
    body = b'{"id":"btc-bitcoin","quotes":{"USD":{"price":90000.01}}}'  # without a time of its own
    playback.faults["coinpaprika"] = Fault(status=200, body=body)
    clock = ManualClock()
    poller = poller_of(playback, client, ("coinpaprika", "kraken"), fallback=True, clock=clock)
    seen = []
    for _ in range(16):
        answers = await poller.poll()
        seen.append(answers[-1].source)
        await clock.advance(10)
    assert seen == ["coinpaprika"] * 4 + ["kraken"] * 11 + ["coinpaprika"]
    assert len(playback.calls["coinpaprika"]) == 2


async def rounds(poller: Poller, clock: ManualClock, number: int) -> list[Sequence[Answer]]:
    """So many rounds, ten seconds apart."""
    answers: list[Sequence[Answer]] = []
    for _ in range(number):
        answers.append(await poller.poll())
        await clock.advance(10)
    return answers


REFUSALS = [
    Fault(status=402),
    Fault(status=403),
    Fault(status=403, headers={"Retry-After": "86400"}),
    Fault(status=418),
    Fault(status=429, body=b"error code: 1015"),
    Fault(status=451),
    Fault(status=503, headers={"Retry-After": "86400"}),
]


@pytest.mark.parametrize("fault", REFUSALS)
async def test_a_moment_of_refusals_by_all_costs_little_more_than_a_minute(
    playback: Playback, client: Client, fault: Fault
) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, clock=clock, enough=never)
    playback.faults.update(dict.fromkeys(NAMES, fault))
    await rounds(poller, clock, 1)
    playback.faults.clear()
    assert [answer.fault for answer in (await rounds(poller, clock, 8))[-1]] == [None] * 3


@pytest.mark.parametrize("fault", REFUSALS)
async def test_while_all_refuse_each_is_asked_once_a_minute(
    playback: Playback, client: Client, fault: Fault
) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, ("okx",), clock=clock, enough=never)
    playback.faults.update({"okx": fault, "kraken": fault})  # the price and the rate
    for name in ("okx", "kraken"):
        asked = [len(playback.calls[name])]
        for _ in range(120):
            await rounds(poller, clock, 1)
            asked.append(len(playback.calls[name]))
        moments = [10 * round_ for round_, (before, after) in enumerate(pairwise(asked)) if after > before]
        assert asked[-1] - asked[0] == len(moments) >= 13
        assert all(60 <= after - before <= 90 for before, after in pairwise(moments))


async def test_a_refusal_is_obeyed_while_another_source_is_usable(playback: Playback, client: Client) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, clock=clock, enough=never)
    playback.faults["kraken"] = Fault(status=503, headers={"Retry-After": "3000"})
    await rounds(poller, clock, 290)
    assert len(playback.calls["kraken"]) == 1


async def test_a_price_in_tethers_comes_with_the_middle_of_their_rate(
    playback: Playback, client: Client
) -> None:
    answers = await poller_of(playback, client, ("coinbase", "okx"), enough=never).poll()
    assert [(answer.currency, answer.rate) for answer in answers] == [
        ("USD", None),
        ("USDT", Decimal("0.99")),
    ]


async def test_the_rate_is_asked_for_at_most_every_half_minute_and_never_used_when_old(
    playback: Playback, client: Client
) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, ("okx",), clock=clock)
    rates = []
    for round_ in range(20):
        if round_ == 4:
            playback.faults["kraken"] = Fault(body=b"{}")
        rates.append((await poller.poll())[0].rate)
        await clock.advance(10)
    last = LASTS // 10_000 + 3  # heard in round 3
    assert rates == [Decimal("0.99")] * (last + 1) + [None] * (19 - last)
    asked = [call for call in playback.calls["kraken"] if "USDT" in call.target]
    assert len(asked) <= 7


@pytest.mark.parametrize(
    ("second", "rate", "rate_from"),
    [
        ("0.9901", "0.99", None),
        ("0.9929", "0.99", None),
        ("0.9931", "0.99", "kraken"),
        ("0.98", "0.99", "kraken"),
        (None, "0.99", "kraken"),
    ],
)
async def test_a_second_source_confirms_the_rate_where_the_two_agree(
    script: Script, playback: Playback, client: Client, second: str | None, rate: str, rate_from: str | None
) -> None:
    if second is not None:
        script.quotes["tether_coinbase"] = Quote(Decimal(second))
    (answer,) = await poller_of(playback, client, ("okx",), enough=never).poll()
    assert (answer.rate, answer.rate_from) == (Decimal(rate), rate_from)


async def test_the_second_source_gives_the_rate_where_the_first_is_silent(
    script: Script, playback: Playback, client: Client
) -> None:
    script.quotes["tether_coinbase"] = Quote(Decimal("0.98"))
    playback.faults["kraken"] = Fault(status=404)
    (answer,) = await poller_of(playback, client, ("okx",), enough=never).poll()
    assert (answer.rate, answer.rate_from) == (Decimal("0.98"), "coinbase")


async def test_a_rate_out_of_a_cache_is_as_old_as_it_says(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(headers={"Age": str(LASTS // 1000 + 1)})
    (answer,) = await poller_of(playback, client, ("okx",), enough=never).poll()
    assert (answer.fault, answer.rate) == (None, None)


async def test_krakens_price_and_the_rate_are_a_second_apart(playback: Playback, client: Client) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, ("kraken", "okx"), clock=clock, enough=never)
    asking = asyncio.create_task(poller.poll())
    await eventually(lambda: poller.states()[1].quote and playback.calls["kraken"])
    await clock.advance(0.9)
    (rate,) = playback.calls["kraken"]
    assert "USDT" in rate.target  # or it would never get its turn in short intervals
    await clock.advance(0.1)
    assert [answer.fault for answer in await asking] == [None, None]
    assert len(playback.calls["kraken"]) == 2


async def test_the_rate_is_not_asked_for_where_nobody_quotes_tethers(
    playback: Playback, client: Client
) -> None:
    await poller_of(playback, client).poll()
    assert all("USDT" not in call.target for call in playback.calls["kraken"])


async def test_a_cancelled_round_leaves_no_task_behind(playback: Playback, client: Client) -> None:
    playback.faults.update(dict.fromkeys(NAMES, Fault(hang=True)))
    poller = poller_of(playback, client)
    before = asyncio.all_tasks()
    asking = asyncio.ensure_future(poller.poll())
    await eventually(lambda: all(playback.calls[name] for name in NAMES))  # the questions are out, and hang
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await poller.aclose()
    started = asyncio.all_tasks() - before
    assert not [task for task in started if "Playback" not in repr(task.get_coro())]
