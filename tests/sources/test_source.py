"""The poller with sources that only implement the protocol, as a push feed would."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from btc_price_tracker.price.model import Answer, Kind, Quote, SourceState, State
from btc_price_tracker.sources.poller import Poller
from btc_price_tracker.sources.source import Source
from btc_price_tracker.testing import ManualClock


class Feed:
    """Implements Source: it has a quote, or waits for one."""

    kind = Kind.EXCHANGE
    currency = "USD"

    def __init__(self, name: str, *, is_up: bool = True) -> None:
        self.name = name
        self.is_up = is_up
        self.reads = 0
        self.is_closed = False

    async def refresh(self, time_limit: float, *, urgent: bool = False) -> None:
        if not self.is_up:
            async with asyncio.timeout(time_limit):
                await asyncio.Event().wait()

    def answer(self) -> Answer:
        self.reads += 1
        quote = Quote(Decimal(90_000)) if self.is_up else None
        return Answer(self.name, self.kind, quote=quote, fault=None if self.is_up else "no message yet")

    def state(self) -> SourceState:
        state = State.OK if self.is_up else State.WAITING
        return SourceState(self.name, self.kind, state, None, 0, None, 0.0, 0.0, None, 0, 0)

    async def aclose(self) -> None:
        self.is_closed = True


class Rule:
    """Suffices with so many answers, and records each evaluation."""

    def __init__(self, needed: int) -> None:
        self.needed = needed
        self.evaluations: list[list[str]] = []

    def __call__(self, answers: Sequence[Answer], _: int) -> bool:
        self.evaluations.append([answer.source for answer in answers])
        return len(answers) >= self.needed


def poller_of(sources: Sequence[Source], rule: Rule, *, in_order: bool = False) -> Poller:
    return Poller(
        sources=sources,
        clock=ManualClock(),
        time_limit=60,
        fresh=lambda answer, _: answer.quote is not None,
        enough=rule,
        in_order=in_order,
        grace=0.01,
    )


async def test_each_answer_is_read_once_per_completion() -> None:
    feeds, rule = [Feed("a"), Feed("b")], Rule(2)
    await poller_of(feeds, rule).poll()
    assert [feed.reads for feed in feeds] == [3, 3]  # before the round, on completion, and for its result


async def test_the_rule_is_evaluated_only_for_new_usable_answers() -> None:
    feeds, rule = [Feed("a"), Feed("b"), Feed("c", is_up=False)], Rule(2)
    answers = await poller_of(feeds, rule).poll()
    assert [answer.fault for answer in answers] == [None, None, "no message yet"]
    assert 1 <= len(rule.evaluations) <= 2
    assert sorted(rule.evaluations[-1]) == ["a", "b"]


async def test_the_rule_is_not_evaluated_without_usable_answers() -> None:
    class Down(Feed):
        async def refresh(self, time_limit: float, *, urgent: bool = False) -> None:
            """Return at once, without a quote."""

    rule = Rule(1)
    await poller_of([Down("a", is_up=False), Down("b", is_up=False)], rule).poll()
    assert rule.evaluations == []


async def test_in_order_the_rule_sees_the_polled_sources_only() -> None:
    feeds, rule = [Feed("a"), Feed("b"), Feed("c")], Rule(2)
    answers = await poller_of(feeds, rule, in_order=True).poll()
    assert [answer.source for answer in answers] == ["a", "b"]
    assert rule.evaluations == [["a"], ["a", "b"]]


async def test_closing_the_poller_closes_its_sources() -> None:
    feeds = [Feed("a"), Feed("b")]
    await poller_of(feeds, Rule(2)).aclose()
    assert all(feed.is_closed for feed in feeds)
