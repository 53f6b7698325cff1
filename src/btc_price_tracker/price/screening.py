"""From what a source answered to what can be judged: is there a plausible, convertible, fresh quote in it?

Reasons are stable while their cause is: they hold no age that would make every round another reason.
"""

from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from btc_price_tracker.price.freshness import age, ahead, is_silent, stale_after
from btc_price_tracker.price.model import Answer, AssessedQuote, Quote
from btc_price_tracker.price.parameters import CLOCK_AHEAD, HIGHEST, LOWEST
from btc_price_tracker.price.votes import vote

_IMPLAUSIBLE = "its price is implausible"
_SHOWN = 4  # digits after the point of a vote; the rule doesn't compute with it


def screen(answer: Answer, now: int, interval: int) -> AssessedQuote:
    """The answer as a vote that may be used, or with the reason why it can't be. Times in ms."""
    quote = answer.quote
    if quote is None:
        return AssessedQuote(answer.source, answer.kind, reason=answer.fault or "no answer yet")
    said = _said(answer, quote, now)
    if not _is_convertible(answer):
        return replace(said, reason=f"no live {answer.currency}/USD rate")
    if not _are_plausible(quote.last, quote.bid, quote.ask):
        return replace(said, reason=_IMPLAUSIBLE)
    its = vote(said)
    if not LOWEST <= its.price <= HIGHEST:
        return replace(said, reason=_IMPLAUSIBLE)
    voted = replace(said, price=_shown(its.price), confidence=_shown(its.confidence))
    return _timed(voted, answer, now, interval)


def usable(answer: Answer, now: int, interval: int) -> bool:
    """Whether the answer can be a vote, and its source doesn't fail. Times in ms."""
    return answer.fault is None and screen(answer, now, interval).fresh


def set_aside(said: AssessedQuote, reason: str) -> AssessedQuote:
    """The same without a vote: its quote isn't fresh after all."""
    return replace(said, confidence=None, reason=reason)


def _said(answer: Answer, quote: Quote, now: int) -> AssessedQuote:
    return AssessedQuote(
        answer.source,
        answer.kind,
        last=quote.last,
        bid=quote.bid,
        ask=quote.ask,
        time=quote.time,
        rate=None if answer.currency == "USD" else answer.rate,
        rate_from=None if answer.currency == "USD" else answer.rate_from,
        age=age(quote.time, answer.received_at, now),
    )


def _are_plausible(*amounts: Decimal | None) -> bool:
    return all(amount is None or (amount.is_finite() and 0 <= amount <= HIGHEST) for amount in amounts)


def _is_convertible(answer: Answer) -> bool:
    if answer.currency == "USD":
        return True
    return answer.rate is not None and answer.rate.is_finite() and answer.rate > 0


def _timed(said: AssessedQuote, answer: Answer, now: int, interval: int) -> AssessedQuote:
    """The vote as it is if its time allows it, else set aside."""
    limit = stale_after(answer, interval)
    if ahead(said.time, answer.received_at, now):
        return set_aside(said, f"its clock is more than {CLOCK_AHEAD // 1000} s ahead of ours")
    if age(said.time, answer.received_at, now) > limit or is_silent(answer, now, interval):
        return set_aside(said, answer.fault or f"its quote is older than {limit // 1000} s")
    return said


def _shown(dollars: Fraction) -> Decimal:
    return Decimal(round(dollars * 10**_SHOWN)).scaleb(-_SHOWN)
