"""From the parts of a body to a Quote: exact prices inside a believable band, the book's rules, sane times.

What is absent, null, blank or zero is "no price here"; what is there must be right, or there is no quote. A time in a
notation that we can't read is no time: the quote is as old as since we heard it.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import NamedTuple

from btc_price_tracker.errors import InvalidQuote
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources.parsing import JsonNode


class Band(NamedTuple):
    """The prices that are believable at all, both ends included."""

    low: Decimal
    high: Decimal


BITCOIN = Band(Decimal(1), Decimal(100_000_000))

ABSURD = Decimal("0.1")  # of a book's middle: no market in Bitcoin is so wide, or so far from its last trade

GENESIS = 1_231_006_505_000  # ms: Bitcoin's first block, before which nobody quoted it
HORIZON = 4_102_444_800_000  # ms: the year 2100; no time in seconds between the two passes for milliseconds

# A number as JSON has it (RFC 8259 6): ASCII, no grouping, no blanks. Some venues write 9.083198811E7, or 0E-8 for an
# empty side. The longest that are believable at all have 40 digits on either side of the point.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_POSITIVE = "a plain positive number"
_EXACT = Context(prec=200)  # digits; the middle of two such numbers within a band has fewer

# RFC 3339 5.6: T and Z in small letters, too, and a blank in place of the T; 5.7: second 60 is a leap second.
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]{1,6})?[0-9]{0,30}"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = JsonNode(None)


def quote(
    last: JsonNode,
    bid: JsonNode = _NOTHING,
    ask: JsonNode = _NOTHING,
    *,
    time: int | None = None,
    band: Band = BITCOIN,
) -> Quote:
    """Make a quote of the parts of an answer.

    A book with one side keeps it. A book that is crossed or locked (bid ≥ ask), or absurd (wider than a tenth
    of its middle, or with its middle further than that from `last`), says nothing: both sides go and `last`
    stays. Where there is no last trade, the middle of a sound book stands in for it.
    Raises InvalidQuote where no price is left, or where one is malformed or outside the band.
    """
    traded, lower, upper = (price(part, band) for part in (last, bid, ask))
    if lower is not None and upper is not None:
        middle = _EXACT.divide(_EXACT.add(lower, upper), 2)
        if (
            lower >= upper
            or upper - lower > middle * ABSURD
            or abs(middle - (traded or middle)) > middle * ABSURD
        ):
            lower = upper = None
        elif traded is None:
            traded = middle
    if traded is None:
        raise InvalidQuote(f"{last}, and there is no sound book to take a price from")
    return Quote(last=traded, bid=lower, ask=upper, time=time)


def price(part: JsonNode, band: Band) -> Decimal | None:
    """Read a price exactly, from a number or a string; None where it is absent, blank or zero.

    Raises InvalidQuote where it is malformed or outside the band.
    """
    if part.absent or part.value == "":
        return None
    read = Decimal(part.text(_NUMBER, _POSITIVE))
    if read == 0:
        return None
    if read < 0:
        raise InvalidQuote(f"{part}, not {_POSITIVE}")
    if not band.low <= read <= band.high:
        raise InvalidQuote(f"{part}, outside {band.low} to {band.high}")
    # Without its exponent: the same price prints the same, however it was written.
    return Decimal(f"{read:f}")


def seconds(part: JsonNode) -> int | None:
    """Read seconds since the epoch, as ms; None where absent or unreadable. Raises InvalidQuote on an absurd time."""
    return _epoch_time(part, unit=1000)


def milliseconds(part: JsonNode) -> int | None:
    """Read ms since the epoch; None where absent or unreadable. Raises InvalidQuote on an absurd time."""
    return _epoch_time(part, unit=1)


def rfc3339(part: JsonNode) -> int | None:
    """Read an RFC 3339 time, cut to ms since the epoch; None if absent or unreadable. Raises InvalidQuote as above."""
    match = _match(_RFC3339, part)
    if match is None:
        return None
    day, minute, second, fraction, zone = match.groups("")
    leap = second == "60"
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}:{'59' if leap else second}{fraction}{zone.upper()}")
    except ValueError:
        return None
    return _believable((moment - _EPOCH) // timedelta(milliseconds=1) + 1000 * leap, part)


def _epoch_time(part: JsonNode, unit: int) -> int | None:
    match = _match(_NUMBER, part)
    return None if match is None else _believable(Decimal(match[0]) * unit, part)


def _match(pattern: re.Pattern[str], part: JsonNode) -> re.Match[str] | None:
    return pattern.fullmatch(part.value) if isinstance(part.value, str) else None


def _believable(time: Decimal | int, part: JsonNode) -> int:
    """The time in whole ms. One that can't be, such as 0, tells that the source doesn't know how old its price is."""
    if not GENESIS <= time <= HORIZON:
        raise InvalidQuote(f"{part}, a time that can't be")
    return int(time)
