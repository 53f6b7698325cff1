"""Updates to publish."""

from decimal import Decimal

from btc_price_tracker.price.model import (
    AssessedQuote,
    Kind,
    SourceState,
    Stages,
    State,
    Status,
    Tick,
    Update,
)

START = 1_764_000_000_000  # ms


def with_tick(tick_id: int) -> Update:
    """An update as a round brings it."""
    price = Decimal(9_000_000 + tick_id % 1000) / 100
    quotes = (
        AssessedQuote("kraken", Kind.EXCHANGE, price, price, price, tick_id - 50, price=price, used=True),
    )
    tick = Tick(tick_id, price, Status.OK, 1, Decimal("0.50"), 50, "median-1", quotes)
    state = SourceState("kraken", Kind.EXCHANGE, State.OK, None, tick_id, 12.5, 0.0, 1.0, None, 7, 0)
    return Update(Status.OK, "ok", tick, quotes, (state,), 0, Stages(tick_id - 2, tick_id - 1, tick_id))


def without_tick(reason: str) -> Update:
    return Update(Status.STALE, reason)


def sequence(count: int, first: int = START) -> list[Update]:
    return [with_tick(first + 10 * number) for number in range(count)]


def ids(updates: list[Update]) -> list[int]:
    return [update.tick.id for update in updates if update.tick is not None]
