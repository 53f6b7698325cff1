"""Words about a round, calm and stable: no number in them grows from round to round."""

from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction

from msgspec.structs import replace

from btc_price_tracker.price.model import AssessedQuote, Kind
from btc_price_tracker.price.parameters import AGREE, EXCLUDE, READMIT


def percent(ratio: Fraction) -> str:
    """`2.5 %`."""
    return f"{float(ratio * 100):g} %"


_IN_RESERVE = "in reserve: it re-reports the exchanges"
_EXCLUDED = f"excluded: more than {percent(EXCLUDE)} from the others, not yet back within {percent(READMIT)}"
_DISPUTED = f"the exchanges disagree by more than {percent(AGREE)}"
_ASTRAY = f"more than {percent(AGREE)} from the price"


def mark(
    judged: Iterable[AssessedQuote], used: Collection[str], admitted: Collection[str]
) -> tuple[AssessedQuote, ...]:
    """Every source with its part in the round: used, or the reason why not."""
    return tuple(
        replace(said, used=True)
        if said.source in used
        else replace(said, reason=said.reason or _why_unused(said, admitted))
        for said in judged
    )


def _why_unused(said: AssessedQuote, admitted: Collection[str]) -> str:
    if said.kind is Kind.AGGREGATOR:
        return _IN_RESERVE
    return _DISPUTED if said.source in admitted else _EXCLUDED


def is_excluded(said: AssessedQuote) -> bool:
    """Whether it has no vote because it is far from the others."""
    return said.reason == _EXCLUDED


def withheld(quotes: Iterable[AssessedQuote], reason: str) -> tuple[AssessedQuote, ...]:
    """The same quotes, the used ones of them unused for this reason."""
    return tuple(replace(said, used=False, reason=reason) if said.used else said for said in quotes)


def causes(judged: Iterable[AssessedQuote]) -> str:
    """What is wrong with whom, as a list to hang on a clause: `; kraken and okx: HTTP 503; gemini: …`."""
    whose: dict[str, list[str]] = {}
    for said in judged:
        if said.reason:
            whose.setdefault(said.reason, []).append(said.source)
    return "".join(f"; {names(sources)}: {reason}" for reason, sources in whose.items())


def astray(exchanges: Iterable[AssessedQuote], agreeing: Collection[str]) -> str:
    """Why the exchanges that don't agree don't, as such a list."""
    return causes(
        replace(said, reason=said.reason or _ASTRAY) for said in exchanges if said.voice not in agreeing
    )


def joined(judged: Iterable[AssessedQuote]) -> str:
    """Whose quotes rest on one source: `; binance and okx count as one with kraken, which alone gives their rate`."""
    dependent: dict[str, list[str]] = {}
    for quote in judged:
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
    who = f"{number} exchanges" if number == total else f"{number} of {total} exchanges"
    return f"{who} agreed{since}" if since else f"{who} agree"


def ago(sources: Iterable[str], silences: Mapping[str, int]) -> str:
    """` 12 s ago`, by the one of the sources that answered last; nothing where one of them answers now.

    `silences` in ms, of those that don't answer.
    """
    since = min((silences.get(source, 0) for source in sources), default=0)
    return f" {since // 1000} s ago" if since >= 1000 else ""
