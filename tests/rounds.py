"""Rounds of answers for the price tests: short to write, played on a time of their own."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from btc_price_tracker.price.model import Answer, Kind, Policy, Quote, Update

START = 1_700_000_000_000
INTERVAL = 10  # seconds
STEP = INTERVAL * 1000

Prices = Mapping[str, "int | float | str | Answer | None"]
AGGREGATORS = ("coingecko", "coinpaprika")


def exact(price: float | str) -> Decimal:
    return Decimal(str(price))


def says(source: str, price: float | str, now: int, **more: object) -> Answer:
    """A source with a book 2 dollars wide around the price, heard now; aggregators have no book."""
    middle = exact(price)
    kind = Kind.AGGREGATOR if source in AGGREGATORS else Kind.EXCHANGE
    quote = Quote(middle) if kind is Kind.AGGREGATOR else Quote(middle, middle - 1, middle + 1)
    fields = {"source": source, "kind": kind, "quote": quote, "received_at": now}
    return Answer(**{**fields, **more})  # type: ignore[arg-type]


def fails(source: str, fault: str) -> Answer:
    kind = Kind.AGGREGATOR if source in AGGREGATORS else Kind.EXCHANGE
    return Answer(source, kind, fault=fault)


def answers(now: int, prices: Prices) -> list[Answer]:
    """A price is said, an Answer stands for itself, None is a fault."""
    return [
        price
        if isinstance(price, Answer)
        else fails(source, "HTTP 503")
        if price is None
        else says(source, price, now)
        for source, price in prices.items()
    ]


class Play:
    """A policy and its time: each call is one round, one interval later."""

    def __init__(self, policy: Policy, now: int = START) -> None:
        self.policy = policy
        self.now = now

    def __call__(self, prices: Prices | None = None, **more: "int | float | str | Answer | None") -> Update:
        self.now += STEP
        return self.policy.decide(answers(self.now, {**(prices or {}), **more}), self.now)

    def given(self, said: Sequence[Answer]) -> Update:
        self.now += STEP
        return self.policy.decide(said, self.now)


def price(update: Update) -> Decimal:
    assert update.tick is not None
    return update.tick.price


def reasons(update: Update) -> dict[str, str | None]:
    return {judged.source: judged.reason for judged in update.quotes}


def used(update: Update) -> set[str]:
    return {judged.source for judged in update.quotes if judged.used}
