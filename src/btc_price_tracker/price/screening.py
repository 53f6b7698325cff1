"""From an answer to a quote that can be assessed: is there a plausible, convertible, fresh quote in it?

Reasons are stable while their cause is: they hold no age that would make every round another reason.
"""

from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from btc_price_tracker.price.freshness import age, is_ahead, is_silent, stale_after
from btc_price_tracker.price.model import Answer, AssessedQuote, Quote, QuoteState
from btc_price_tracker.price.parameters import HIGHEST, LOWEST
from btc_price_tracker.price.votes import vote
from btc_price_tracker.price.wording import why_unused

_DECIMALS = 4  # of a vote as it is shown; the rule doesn't compute with it


def screen(answer: Answer, now: int, interval: int) -> AssessedQuote:
    """The answer as a vote, or as a quote without one and its state. Times in ms."""
    if answer.quote is None:
        quote = AssessedQuote(answer.source, answer.kind)
        return unused(quote, QuoteState.FAILED, answer.fault or "no answer yet")
    quote = _assess(answer, answer.quote, now)
    if not _is_convertible(answer):
        return unused(quote, QuoteState.NO_RATE, answer.currency)
    if not _are_plausible(quote.last, quote.bid, quote.ask):
        return unused(quote, QuoteState.IMPLAUSIBLE)
    price, confidence = vote(quote).price, vote(quote).confidence
    if not LOWEST <= price <= HIGHEST:
        return unused(quote, QuoteState.IMPLAUSIBLE)
    return _check_time(
        replace(quote, price=_shown(price), confidence=_shown(confidence)), answer, now, interval
    )


def usable(answer: Answer, now: int, interval: int) -> bool:
    """Whether the answer can be a vote, and its source doesn't fail. Times in ms."""
    return answer.fault is None and screen(answer, now, interval).fresh


def unused(quote: AssessedQuote, state: QuoteState, detail: object = "") -> AssessedQuote:
    """The quote in a state in which it isn't used. For `detail` see `wording.why_unused`."""
    return replace(quote, used=False, state=state, reason=why_unused(state, detail))


def without_vote(quote: AssessedQuote, state: QuoteState, detail: object = "") -> AssessedQuote:
    """The quote in a state in which it isn't fresh, so that it can't vote."""
    return replace(unused(quote, state, detail), confidence=None)


def _assess(answer: Answer, quote: Quote, now: int) -> AssessedQuote:
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


def _check_time(quote: AssessedQuote, answer: Answer, now: int, interval: int) -> AssessedQuote:
    """The quote with its vote where its time allows one."""
    limit = stale_after(answer, interval)
    if is_ahead(quote.time, answer.received_at, now):
        return without_vote(quote, QuoteState.CLOCK_AHEAD)
    if age(quote.time, answer.received_at, now) <= limit and not is_silent(answer, now, interval):
        return quote
    if answer.fault is not None:
        return without_vote(quote, QuoteState.FAILED, answer.fault)
    return without_vote(quote, QuoteState.STALE, limit // 1000)


def _shown(dollars: Fraction) -> Decimal:
    return Decimal(round(dollars * 10**_DECIMALS)).scaleb(-_DECIMALS)
