"""Ticks as JSON Lines and back, complete: every tick has the quotes of all its sources."""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from btc_price_tracker.price.model import CENT, AssessedQuote, Tick
from btc_price_tracker.store.integers import check_cents
from btc_price_tracker.store.records import METHOD, decoded, parse_records
from btc_price_tracker.store.tick_record import TickRecord

# Every store can hold values below these.
MAX_DOLLARS = 10**12
MAX_NUMBER = 10**9  # counts, and ages in seconds
MAX_MS = 10**16  # time and age of a quote
MAX_QUOTES = 100  # per tick
MAX_TEXT = 1000  # characters in a source's name or the reason why its quote was not used

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(TickRecord)


def json_line(tick: Tick) -> str:
    """One line with every field of the tick."""
    return _encoder.encode(tick).decode() + "\n"


def read_json(lines: Iterable[str], last: int) -> Iterator[Tick]:
    """Parse a file with one tick per line; blank lines are skipped. Raises RecordError as `parse_records`."""
    numbered = enumerate(decoded(lines), 1)
    return parse_records(((number, line) for number, line in numbered if line.strip()), _from_json, last)


def _from_json(line: str) -> Tick:
    """A tick within the same bounds as the patterns of the CSV format impose."""
    tick = _decoder.decode(line).tick()
    if not all(_is_amount(amount) and amount >= 0 for amount in (tick.price, tick.spread)):
        raise ValueError("price or spread is not an amount in dollars and cents")
    check_cents(tick)
    if not all(0 <= number < MAX_NUMBER for number in (tick.sources, tick.age)):
        raise ValueError(f"sources or age is out of range: give less than {MAX_NUMBER}")
    if not re.fullmatch(METHOD.regex, tick.method):
        raise ValueError(f"method is not a {METHOD.description}: {tick.method[:40]!r}")
    if len(tick.quotes) > MAX_QUOTES:
        raise ValueError(f"{len(tick.quotes)} quotes, more than {MAX_QUOTES}")
    for quote in tick.quotes:
        _check_quote(quote)
    return replace(tick, price=tick.price.quantize(CENT), spread=tick.spread.quantize(CENT))


def _check_quote(quote: AssessedQuote) -> None:
    if not all(abs(number) < MAX_MS for number in (quote.time or 0, quote.age or 0)):
        raise ValueError("time or age of a quote is out of range")
    amounts = (quote.last, quote.bid, quote.ask, quote.rate, quote.price, quote.confidence)
    if not all(amount is None or _is_amount(amount) for amount in amounts):
        raise ValueError("an amount of a quote is out of range")
    if any(len(text or "") > MAX_TEXT for text in (quote.source, quote.reason, quote.rate_from)):
        raise ValueError(f"a text of a quote is longer than {MAX_TEXT} characters")


def _is_amount(amount: Decimal) -> bool:
    return amount.is_finite() and abs(amount) < MAX_DOLLARS
