"""How old a quote is, and how old it may be."""

from collections.abc import Iterable

from btc_price_tracker.price.model import Answer, Kind
from btc_price_tracker.price.parameters import (
    AGGREGATOR_STALE,
    AGGREGATOR_STALE_POLLS,
    CLOCK_AHEAD,
    EXCHANGE_STALE,
    EXCHANGE_STALE_POLLS,
    SILENT,
    SILENT_POLLS,
)


def age(time: int | None, received_at: int, now: int) -> int:
    """Age of a quote in ms: by the source's own time where it has one, and never less than since it arrived.

    Having just fetched a quote doesn't make it fresh: caches answer quickly, too.
    """
    oldest = received_at if time is None else min(time, received_at)
    return max(now - oldest, 0)


def is_ahead(time: int | None, received_at: int, now: int) -> bool:
    """Whether a clock, the source's or ours when the quote arrived, is so far ahead that the age is unknown."""
    return max(received_at, time or 0) > now + CLOCK_AHEAD


def stale_after(answer: Answer, interval: int) -> int:
    """How old a quote may be, in ms, where one is requested every `interval` ms, or less often for a quota's sake."""
    poll = _poll(answer, interval)
    if answer.kind is Kind.EXCHANGE:
        return max(EXCHANGE_STALE, EXCHANGE_STALE_POLLS * poll)
    return max(AGGREGATOR_STALE, AGGREGATOR_STALE_POLLS * poll)


def is_silent(answer: Answer, now: int, interval: int) -> bool:
    """Whether more than one poll has failed since the source last answered. Times in ms."""
    return answer.fault is not None and now - answer.received_at > max(
        SILENT, int(SILENT_POLLS * _poll(answer, interval))
    )


def silence(answers: Iterable[Answer], now: int) -> int | None:
    """Ms since any of the sources answered; None where none has yet."""
    latest = max((each.received_at for each in answers), default=0)
    return max(now - latest, 0) if latest else None


def silences(answers: Iterable[Answer], now: int) -> dict[str, int]:
    """The sources whose last attempt failed, and for how many ms each has been silent."""
    return {each.source: max(now - each.received_at, 0) for each in answers if each.fault is not None}


def is_fresh(answer: Answer, now: int, interval: int) -> bool:
    """Whether there is a quote that still counts at `now`. Times in ms."""
    quote = answer.quote
    return (
        quote is not None
        and age(quote.time, answer.received_at, now) <= stale_after(answer, interval)
        and not is_silent(answer, now, interval)
    )


def _poll(answer: Answer, interval: int) -> int:
    return max(interval, answer.spacing)
