"""From the nodes of a body to a Quote: exact prices within a plausible band, a valid book, plausible times.

An absent, null, blank or zero value is no price; any other must be valid, or there is no quote. A time in an unknown
notation is no time: the quote's age then counts from when it was received.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import NamedTuple

from btc_price_tracker.errors import InvalidQuote
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources.parsing import JsonNode


class Band(NamedTuple):
    """The range of plausible prices, both ends included."""

    low: Decimal
    high: Decimal


BITCOIN = Band(Decimal(1), Decimal(100_000_000))

MAX_SPREAD = Decimal("0.1")  # of a book's middle: no Bitcoin market is so wide, or so far from its last trade

GENESIS = 1_231_006_505_000  # ms: Bitcoin's first block, before which it had no price
HORIZON = 4_102_444_800_000  # ms: the year 2100; no time in seconds is mistaken for milliseconds

# A number as JSON has it (RFC 8259 6): ASCII, no grouping, no blanks. Some venues write 9.083198811E7, or 0E-8 for an
# empty side. The longest plausible ones have 40 digits on either side of the point.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,3})?")
_POSITIVE = "a plain positive number"
_EXACT = Context(prec=200)  # digits; the middle of two such numbers within a band has fewer

# RFC 3339 5.6: T and Z in small letters, too, and a space instead of the T; 5.7: second 60 is a leap second.
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
    """Make a quote from the nodes of a body.

    A book with one side keeps it. A book that is crossed or locked (bid ≥ ask), or implausible (wider than a tenth
    of its middle, or with its middle further than that from `last`), is dropped and `last` kept. Without a last trade,
    the middle of a valid book replaces it.
    Raises InvalidQuote if no price is left, or if one is malformed or outside the band.
    """
    traded, lower, upper = (price(node, band) for node in (last, bid, ask))
    if lower is not None and upper is not None:
        middle = _EXACT.divide(_EXACT.add(lower, upper), 2)
        if (
            lower >= upper
            or upper - lower > middle * MAX_SPREAD
            or abs(middle - (traded or middle)) > middle * MAX_SPREAD
        ):
            lower = upper = None
        elif traded is None:
            traded = middle
    if traded is None:
        raise InvalidQuote(f"{last}, and there is no valid book to take a price from")
    return Quote(last=traded, bid=lower, ask=upper, time=time)


def price(node: JsonNode, band: Band) -> Decimal | None:
    """Read an exact price from a number or a string; None if it is absent, blank or zero.

    Raises InvalidQuote if it is malformed or outside the band.
    """
    if node.absent or node.value == "":
        return None
    read = Decimal(node.text(_NUMBER, _POSITIVE))
    if read == 0:
        return None
    if read < 0:
        raise InvalidQuote(f"{node}, not {_POSITIVE}")
    if not band.low <= read <= band.high:
        raise InvalidQuote(f"{node}, outside {band.low} to {band.high}")
    # Without its exponent: the same price prints the same, however it was written.
    return Decimal(f"{read:f}")


def seconds(node: JsonNode) -> int | None:
    """Read seconds since the epoch, as ms; None if absent or unreadable. Raises InvalidQuote on an implausible time."""
    return _epoch_time(node, unit=1000)


def milliseconds(node: JsonNode) -> int | None:
    """Read ms since the epoch; None if absent or unreadable. Raises InvalidQuote on an implausible time."""
    return _epoch_time(node, unit=1)


def rfc3339(node: JsonNode) -> int | None:
    """Read an RFC 3339 time, as ms since the epoch; None if absent or unreadable. Raises InvalidQuote as above."""
    match = _match(_RFC3339, node)
    if match is None:
        return None
    day, minute, second, fraction, zone = match.groups("")
    leap = second == "60"
    try:
        time = datetime.fromisoformat(f"{day}T{minute}:{'59' if leap else second}{fraction}{zone.upper()}")
    except ValueError:
        return None
    return _plausible((time - _EPOCH) // timedelta(milliseconds=1) + 1000 * leap, node)


def _epoch_time(node: JsonNode, unit: int) -> int | None:
    match = _match(_NUMBER, node)
    return None if match is None else _plausible(Decimal(match[0]) * unit, node)


def _match(pattern: re.Pattern[str], node: JsonNode) -> re.Match[str] | None:
    return pattern.fullmatch(node.value) if isinstance(node.value, str) else None


def _plausible(time: Decimal | int, node: JsonNode) -> int:
    """Return the time in whole ms. An implausible one, such as 0, means that the price's age is unknown."""
    if not GENESIS <= time <= HORIZON:
        raise InvalidQuote(f"{node}, an implausible time")
    return int(time)
