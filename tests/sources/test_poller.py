"""All sources together: side by side or in order, and the USDT/USD rate; over HTTP against the playback."""

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
from btc_price_tracker.sources.poller import TURNS, Enough, Poller, round_time_limit
from btc_price_tracker.sources.rates import MAX_AGE, Rates
from btc_price_tracker.sources.tether import TETHERS
from btc_price_tracker.sources.upstream import LATE, Upstream
from btc_price_tracker.testing import ManualClock, eventually
from timeouts import leap

NAMES = ("coinbase", "kraken", "bitstamp")
SECONDS = 10.0  # of a round: more than a busy machine needs; no test waits for it


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
    """Wait for all sources."""
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
    sources = upstreams(playback, client, names, clock)
    limiters = {source.name: source.rate_limiter for source in sources}
    rates = {
        name: connect(
            replace(definition, url=playback.url(name)),
            client,
            clock,
            Random(1),
            parent=limiters.get(name),
        )
        for name, definition in TETHERS.items()
    }
    return Poller(
        sources=sources,
        clock=clock,
        time_limit=seconds,
        fresh=fresh,
        enough=enough,
        in_order=fallback,
        rates=Rates(rates, clock) if "okx" in names else None,
    )


@pytest.mark.parametrize(("interval", "seconds"), [(1, 0.8), (5, 4.0), (10, 5.0), (3600, 5.0)])
def test_a_round_ends_well_before_the_next(interval: float, seconds: float) -> None:
    assert round_time_limit(interval) == seconds


async def test_answers_are_in_the_configured_order(playback: Playback, client: Client) -> None:
    playback.faults["coinbase"] = Fault(delay=0.1)
    answers = await poller_of(playback, client, enough=never).poll()
    assert [(answer.source, answer.fault) for answer in answers] == [(name, None) for name in NAMES]
    assert all(answer.quote and answer.quote.last == 90_000 for answer in answers)


async def test_slow_sources_time_out_together(playback: Playback, client: Client) -> None:
    playback.faults.update(coinbase=Fault(hang=True), kraken=Fault(drip=0.1))
    poller = poller_of(playback, client, enough=never, seconds=60)
    polling = asyncio.create_task(poller.poll())
    await eventually(lambda: poller.states()[2].quote)
    assert not polling.done()
    leap(60)
    async with asyncio.timeout(30):
        answers = await polling
    assert [answer.fault for answer in answers] == ["no complete response in time"] * 2 + [None]


async def test_late_sources_get_a_grace_period_and_no_second_request(
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


async def test_all_sources_are_awaited_until_answers_suffice(playback: Playback, client: Client) -> None:
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


async def test_in_order_the_first_usable_source_ends_the_round(playback: Playback, client: Client) -> None:
    poller = poller_of(playback, client, fallback=True)
    assert [answer.source for answer in await poller.poll()] == ["coinbase"]
    assert not playback.calls["kraken"]
    assert [state.state for state in poller.states()] == [State.OK, State.WAITING, State.WAITING]


async def test_an_old_quote_shows_as_stale(playback: Playback, client: Client) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, ("coinbase",), clock=clock)
    await poller.poll()
    await clock.advance(31)
    assert [state.state for state in poller.states()] == [State.STALE]


async def test_in_order_failed_sources_are_reported_with_their_fault(
    playback: Playback, client: Client
) -> None:
    playback.faults["coinbase"] = Fault(status=404)  # which is not tried again
    answers = await poller_of(playback, client, fallback=True).poll()
    assert [(answer.source, answer.fault) for answer in answers] == [
        ("coinbase", "HTTP 404"),
        ("kraken", None),
    ]


async def test_in_order_a_fresh_quote_does_not_hide_a_failing_source(
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


async def test_in_order_an_unusable_quote_does_not_end_the_round(
    script: Script, playback: Playback, client: Client
) -> None:
    script.quotes["coinbase"] = Quote(Decimal(90_000), time=SystemClock().now() + 90_000)  # a clock ahead
    policy = Fallback(10)
    answers = await poller_of(
        playback, client, fallback=True, enough=partial(fallback.enough, interval=10_000)
    ).poll()
    assert [answer.source for answer in answers] == ["coinbase", "kraken"]
    assert policy.decide(answers, SystemClock().now()).tick


async def test_in_order_a_usdt_price_without_rate_does_not_end_the_round(
    script: Script, playback: Playback, client: Client
) -> None:
    del script.quotes["tether"]
    names = ("okx", "gemini")
    answers = await poller_of(
        playback, client, names, fallback=True, enough=partial(fallback.enough, interval=10_000)
    ).poll()
    assert [(answer.source, answer.fault) for answer in answers] == [("okx", None), ("gemini", None)]


async def test_in_order_the_rate_is_polled_only_for_usdt_sources(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(hang=True)
    names = ("coinbase", "okx")
    async with asyncio.timeout(30):
        answers = await poller_of(playback, client, names, fallback=True, seconds=600).poll()
    assert [answer.source for answer in answers] == ["coinbase"]
    assert not playback.calls["kraken"]


async def test_in_order_slow_sources_may_finish_later_in_the_round(script: Script, client: Client) -> None:
    names, clock = (*NAMES, "gemini", "binanceus"), ManualClock()
    async with Playback(script, clock) as playback:
        playback.faults.update(dict.fromkeys(names, Fault(delay=24)))
        poller = poller_of(playback, client, names, fallback=True, clock=clock, seconds=60)
        async with aclosing(poller), asyncio.timeout(60):
            polling = asyncio.create_task(poller.poll())
            await clock.sleeping()
            await go_on(clock, 60 / TURNS - 1)
            await asyncio.sleep(0.05)  # enough for a question
            assert not playback.calls["kraken"]
            await go_on(clock, 1)
            await clock.sleeping(2)
            await go_on(clock, 4)
            answers = await polling
    assert [(answer.source, answer.fault) for answer in answers] == [("coinbase", None), ("kraken", LATE)]


async def test_in_order_hanging_sources_leave_time_for_the_next(playback: Playback, client: Client) -> None:
    playback.faults.update(coinbase=Fault(hang=True), kraken=Fault(hang=True))
    clock = ManualClock()
    poller = poller_of(playback, client, fallback=True, clock=clock, seconds=60)
    async with aclosing(poller):
        polling = asyncio.create_task(poller.poll())
        for name in ("coinbase", "kraken"):
            await eventually(partial(len, playback.calls[name]))
            assert not playback.calls["bitstamp"]
            await go_on(clock, 60 / TURNS)
        async with asyncio.timeout(10):  # well within the last third
            answers = await polling
    assert [answer.fault for answer in answers] == [LATE, LATE, None]


async def go_on(clock: ManualClock, seconds: float) -> None:
    """Let time pass, for timeouts as well."""
    await clock.advance(seconds)
    leap(seconds)


async def test_in_order_a_repeated_quote_counts_while_fresh(playback: Playback, client: Client) -> None:
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
async def test_refusals_by_all_sources_pause_about_a_minute(
    playback: Playback, client: Client, fault: Fault
) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, clock=clock, enough=never)
    playback.faults.update(dict.fromkeys(NAMES, fault))
    await rounds(poller, clock, 1)
    playback.faults.clear()
    assert [answer.fault for answer in (await rounds(poller, clock, 8))[-1]] == [None] * 3


@pytest.mark.parametrize("fault", REFUSALS)
async def test_while_all_refuse_each_is_polled_once_a_minute(
    playback: Playback, client: Client, fault: Fault
) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, ("okx",), clock=clock, enough=never)
    playback.faults.update({"okx": fault, "kraken": fault})  # the price and the rate
    for name in ("okx", "kraken"):
        requests = [len(playback.calls[name])]
        for _ in range(120):
            await rounds(poller, clock, 1)
            requests.append(len(playback.calls[name]))
        moments = [10 * round_ for round_, (before, after) in enumerate(pairwise(requests)) if after > before]
        assert requests[-1] - requests[0] == len(moments) >= 13
        assert all(60 <= after - before <= 90 for before, after in pairwise(moments))


async def test_retry_after_is_obeyed_while_another_source_is_usable(
    playback: Playback, client: Client
) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, clock=clock, enough=never)
    playback.faults["kraken"] = Fault(status=503, headers={"Retry-After": "3000"})
    await rounds(poller, clock, 290)
    assert len(playback.calls["kraken"]) == 1


async def test_usdt_answers_have_the_mid_rate(playback: Playback, client: Client) -> None:
    answers = await poller_of(playback, client, ("coinbase", "okx"), enough=never).poll()
    assert [(answer.currency, answer.rate) for answer in answers] == [
        ("USD", None),
        ("USDT", Decimal("0.99")),
    ]


async def test_the_rate_is_polled_every_half_minute_and_expires(playback: Playback, client: Client) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, ("okx",), clock=clock)
    rates = []
    for round_ in range(20):
        if round_ == 4:
            playback.faults["kraken"] = Fault(body=b"{}")
        rates.append((await poller.poll())[0].rate)
        await clock.advance(10)
    last = MAX_AGE // 10_000 + 3  # received in round 3
    assert rates == [Decimal("0.99")] * (last + 1) + [None] * (19 - last)
    requests = [call for call in playback.calls["kraken"] if "USDT" in call.target]
    assert len(requests) <= 7


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
async def test_a_second_rate_within_tolerance_confirms_the_first(
    script: Script, playback: Playback, client: Client, second: str | None, rate: str, rate_from: str | None
) -> None:
    if second is not None:
        script.quotes["tether_coinbase"] = Quote(Decimal(second))
    (answer,) = await poller_of(playback, client, ("okx",), enough=never).poll()
    assert (answer.rate, answer.rate_from) == (Decimal(rate), rate_from)


async def test_the_second_rate_source_replaces_a_failing_first(
    script: Script, playback: Playback, client: Client
) -> None:
    script.quotes["tether_coinbase"] = Quote(Decimal("0.98"))
    playback.faults["kraken"] = Fault(status=404)
    (answer,) = await poller_of(playback, client, ("okx",), enough=never).poll()
    assert (answer.rate, answer.rate_from) == (Decimal("0.98"), "coinbase")


async def test_a_cached_rate_expires_by_its_age_header(playback: Playback, client: Client) -> None:
    playback.faults["kraken"] = Fault(headers={"Age": str(MAX_AGE // 1000 + 1)})
    (answer,) = await poller_of(playback, client, ("okx",), enough=never).poll()
    assert (answer.fault, answer.rate) == (None, None)


async def test_requests_for_krakens_price_and_rate_are_a_second_apart(
    playback: Playback, client: Client
) -> None:
    clock = ManualClock()
    poller = poller_of(playback, client, ("kraken", "okx"), clock=clock, enough=never)
    polling = asyncio.create_task(poller.poll())
    await eventually(lambda: poller.states()[1].quote and playback.calls["kraken"])
    await clock.advance(0.9)
    (rate,) = playback.calls["kraken"]
    assert "USDT" in rate.target  # or it would never get its turn in short intervals
    await clock.advance(0.1)
    assert [answer.fault for answer in await polling] == [None, None]
    assert len(playback.calls["kraken"]) == 2


async def test_the_rate_is_not_polled_without_usdt_sources(playback: Playback, client: Client) -> None:
    await poller_of(playback, client).poll()
    assert all("USDT" not in call.target for call in playback.calls["kraken"])


async def test_a_cancelled_round_leaves_no_task_behind(playback: Playback, client: Client) -> None:
    playback.faults.update(dict.fromkeys(NAMES, Fault(hang=True)))
    poller = poller_of(playback, client)
    before = asyncio.all_tasks()
    polling = asyncio.ensure_future(poller.poll())
    await eventually(lambda: all(playback.calls[name] for name in NAMES))  # the questions are out, and hang
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    await poller.aclose()
    started = asyncio.all_tasks() - before
    assert not [task for task in started if "Playback" not in repr(task.get_coro())]
