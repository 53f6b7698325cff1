"""From the parts of a body to a Quote: exact prices inside a believable band, the book's rules, sane times.

What is absent, null, blank or zero is "no price here"; what is there must be right, or there is no quote.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources.body import Part
from btc_price_tracker.sources.faults import NotAQuote


class Band(NamedTuple):
    """The prices that are believable at all, both ends included."""

    low: Decimal
    high: Decimal


BITCOIN = Band(Decimal(1), Decimal(100_000_000))

ABSURD = Decimal("0.1")  # of a book's middle: no market in Bitcoin is so wide, or so far from its last trade

GENESIS = 1_231_006_505_000  # ms: Bitcoin's first block, before which nobody quoted it
HORIZON = 4_102_444_800_000  # ms: the year 2100; no time in seconds between the two passes for milliseconds

# Plain notation, as JSON has it, in ASCII: no sign, no grouping, no blanks. At most 27 digits, 18 of them
# decimals (aggregators send up to 16), so the middle of two prices is exact in Decimal's default 28 digits.
# The exponent is for blockchain.info, which writes 9.083198811E7.
_PRICE = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,18})?(?:[eE]\+?[0-9])?")
_COUNT = re.compile(r"[0-9]{1,16}")
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = Part(None)


def quote(
    last: Part, bid: Part = _NOTHING, ask: Part = _NOTHING, *, time: int | None = None, band: Band = BITCOIN
) -> Quote:
    """Make a quote of the parts of an answer.

    A book with one side keeps it. A book that is crossed or locked (bid ≥ ask), or absurd (wider than a tenth
    of its middle, or with its middle further than that from `last`), says nothing: both sides go and `last`
    stays. Where there is no last trade, the middle of a sound book stands in for it.
    Raises NotAQuote where no price is left, or where one is malformed or outside the band.
    """
    traded, lower, upper = (price(part, band) for part in (last, bid, ask))
    if lower is not None and upper is not None:
        middle = (lower + upper) / 2
        if (
            lower >= upper
            or upper - lower > middle * ABSURD
            or abs(middle - (traded or middle)) > middle * ABSURD
        ):
            lower = upper = None
        elif traded is None:
            traded = middle
    if traded is None:
        raise NotAQuote(f"{last}, and there is no sound book to take a price from")
    return Quote(last=traded, bid=lower, ask=upper, time=time)


def price(part: Part, band: Band) -> Decimal | None:
    """Read a price exactly, from a number or a string; None where it is absent, blank or zero.

    Raises NotAQuote where it is malformed or outside the band.
    """
    if part.absent or part.value == "":
        return None
    read = Decimal(part.text(_PRICE, "a plain positive number"))
    if read == 0:
        return None
    if not band.low <= read <= band.high:
        raise NotAQuote(f"{part}, outside {band.low} to {band.high}")
    # Without its exponent: the same price prints the same, however it was written.
    return Decimal(f"{read:f}")


def seconds(part: Part) -> int | None:
    """Read whole seconds since the epoch, as ms; None where absent. Raises NotAQuote on an absurd time."""
    return _epoch_time(part, unit=1000)


def milliseconds(part: Part) -> int | None:
    """Read ms since the epoch; None where absent. Raises NotAQuote on an absurd time."""
    return _epoch_time(part, unit=1)


def rfc3339(part: Part) -> int | None:
    """Read an RFC 3339 time, cut to ms since the epoch; None where absent. Raises NotAQuote as above."""
    if part.absent:
        return None
    text = part.text(_RFC3339, "an RFC 3339 time")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotAQuote(f"{part}, not an RFC 3339 time") from error
    return _believable((moment - _EPOCH) // timedelta(milliseconds=1), part)


def _epoch_time(part: Part, unit: int) -> int | None:
    if part.absent:
        return None
    return _believable(int(part.text(_COUNT, "a time since the epoch")) * unit, part)


def _believable(time: int, part: Part) -> int:
    if not GENESIS <= time <= HORIZON:
        raise NotAQuote(f"{part}, a time that can't be")
    return time
