"""Sentences about a round, made from its values. They are stable: no number in them grows from round to round."""

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction

from msgspec.structs import replace

from btc_price_tracker.price.model import AssessedQuote, QuoteState
from btc_price_tracker.price.parameters import AGREE, CLOCK_AHEAD, JUMP


def percent(ratio: Fraction) -> str:
    """A share in percent: `5 %`."""
    return f"{float(ratio * 100):g} %"


JUMP_MOVE = f"a move of more than {percent(JUMP)}"
_WHY_UNUSED: Mapping[QuoteState, str] = {
    QuoteState.FAILED: "{detail}",
    QuoteState.NO_RATE: "no live {detail}/USD rate",
    QuoteState.IMPLAUSIBLE: "its price is implausible",
    QuoteState.CLOCK_AHEAD: f"its clock is more than {CLOCK_AHEAD // 1000} s ahead of ours",
    QuoteState.STALE: "its quote is older than {detail} s",
    QuoteState.FROZEN: "frozen: its quote stands still while the others move",
    QuoteState.EXCLUDED: "excluded: far from the others",
    QuoteState.RETURNING: "excluded: not yet near the others again for long enough",
    QuoteState.DISPUTED: f"the exchanges disagree by more than {percent(AGREE)}",
    QuoteState.RESERVE: "in reserve: it re-reports the exchanges",
    QuoteState.UNCONFIRMED: JUMP_MOVE,
    QuoteState.NOT_NEEDED: "not needed: {detail} comes first",
}
_FAR_FROM_PRICE = f"more than {percent(AGREE)} from the price"


def why_unused(state: QuoteState, detail: object = "") -> str:
    """The reason for not using a quote. `detail`: the fault, the currency, the age limit in seconds, or the source."""
    return _WHY_UNUSED[state].format(detail=detail)


def causes(quotes: Iterable[AssessedQuote]) -> str:
    """The reasons why quotes aren't used, as a list to append to a clause: `; kraken and okx: HTTP 503; gemini: …`."""
    sources: dict[str, list[str]] = {}
    for quote in quotes:
        if quote.reason:
            sources.setdefault(quote.reason, []).append(quote.source)
    return "".join(f"; {names(each)}: {reason}" for reason, each in sources.items())


def dissent(exchanges: Iterable[AssessedQuote], agreeing: Collection[str]) -> str:
    """Why the exchanges outside the `agreeing` voices don't agree, as such a list."""
    return causes(
        replace(quote, reason=quote.reason or _FAR_FROM_PRICE)
        for quote in exchanges
        if quote.voice not in agreeing
    )


def shared_voices(quotes: Iterable[AssessedQuote]) -> str:
    """The quotes that rest on one source: `; binance and okx count as one with kraken, which alone gives …`."""
    dependent: dict[str, list[str]] = {}
    for quote in quotes:
        if quote.fresh and quote.rate_from:
            dependent.setdefault(quote.rate_from, []).append(quote.source)
    return "".join(
        f"; {names(sources)} {'count' if sources[1:] else 'counts'} as one with {voice}, "
        "which alone gives their USDT rate"
        for voice, sources in dependent.items()
    )


def names(sources: Collection[str]) -> str:
    """Names as in a sentence: `coinbase, kraken and gemini`."""
    *others, last = sources or [""]
    return f"{', '.join(others)} and {last}" if others else last


def count(number: int, total: int, since: str) -> str:
    """`4 exchanges agree`, `3 of 4 exchanges agree`, `3 of 4 exchanges agreed 12 s ago`."""
    exchanges = f"{number} exchanges" if number == total else f"{number} of {total} exchanges"
    return f"{exchanges} agreed{since}" if since else f"{exchanges} agree"


def ago(sources: Iterable[str], silences: Mapping[str, int]) -> str:
    """` 12 s ago`, by the source that answered last; empty where one of them answers now.

    `silences` in ms, of the sources that don't answer.
    """
    since = min((silences.get(source, 0) for source in sources), default=0)
    return f" {since // 1000} s ago" if since >= 1000 else ""
