"""How old a quote is, and how old it may be."""

from btc_price_tracker.price.model import Answer, Kind
from btc_price_tracker.price.parameters import (
    AGGREGATOR_STALE,
    AGGREGATOR_STALE_POLLS,
    CLOCK_AHEAD,
    EXCHANGE_STALE,
    EXCHANGE_STALE_POLLS,
)


def age(time: int | None, heard: int, now: int) -> int:
    """Age of a quote in ms: by the source's own time where it has one, and never less than since we heard it.

    Having just fetched a quote doesn't make it fresh: caches answer quickly, too.
    """
    oldest = heard if time is None else min(time, heard)
    return max(now - oldest, 0)


def ahead(time: int | None, heard: int, now: int) -> bool:
    """Whether a clock, the source's or ours when we heard it, is so far ahead that the age can't be known."""
    return max(heard, time or 0) > now + CLOCK_AHEAD


def stale_after(answer: Answer, interval: int) -> int:
    """How old a quote may be, in ms, where one is asked for every `interval` ms, or less often for a quota's sake."""
    interval = max(interval, answer.spacing)
    if answer.kind is Kind.EXCHANGE:
        return max(EXCHANGE_STALE, EXCHANGE_STALE_POLLS * interval)
    return max(AGGREGATOR_STALE, AGGREGATOR_STALE_POLLS * interval)


def is_fresh(answer: Answer, now: int, interval: int) -> bool:
    """Whether there is a quote that still counts at `now`. Times in ms."""
    quote = answer.quote
    return quote is not None and age(quote.time, answer.heard, now) <= stale_after(answer, interval)
