"""The headers of a response: when it was generated, how long caches have held it since, what is left of a quota."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from btc_price_tracker.sources.quoting import GENESIS, HORIZON

MAX_DATE = 64  # characters; the three formats of RFC 9110 5.6.7 have at most 33
MAX_CACHED = 86_400  # seconds in caches, after which a Date is no evidence of a clock

MAX_AGE_HEADER = 256  # characters of it that are read
OVERFLOW = 2**31  # seconds

MAX_WEIGHT = 9  # digits

_DIGITS = re.compile(r"[0-9]+")


def source_time(headers: Mapping[str, str]) -> int | None:
    """Return the source's wall clock when the response was sent to us, in ms since the epoch, exact to the second.

    It is the `Date` plus the `Age` if caches have held the response (RFC 9111 4.2.3). None if there is no usable Date.
    """
    date, held = http_date(headers.get("date", "")), age(headers)
    if date is None or not GENESIS <= date <= HORIZON or held > MAX_CACHED:
        return None
    return date + held * 1000


def age(headers: Mapping[str, str]) -> int:
    """Return the seconds that caches have held the response, from `Age`; 0 without one.

    Of a list (caches that add theirs instead of correcting it) the greatest counts: RFC 9111 5.1 would take the first,
    but an old price must not look fresh. One that overflows means very old (1.2.2).
    """
    ages = headers.get("age", "")[:MAX_AGE_HEADER].split(",")
    return max(
        (min(int(each), OVERFLOW) for each in map(str.strip, ages) if _DIGITS.fullmatch(each)), default=0
    )


def used_weight(headers: Mapping[str, str]) -> int | None:
    """Return what our requests of this minute weigh as Binance counts them; None for sources that send no such header.

    Binance allows 6,000 per address and minute, and one of ours weighs 2: more shows that others share the address.
    """
    text = headers.get("x-mbx-used-weight-1m", "")
    return int(text) if len(text) <= MAX_WEIGHT and _DIGITS.fullmatch(text) else None


def http_date(text: str) -> int | None:
    """Return an HTTP date in ms since the epoch, or None if it is no date."""
    if len(text) > MAX_DATE:
        return None
    try:
        time = parsedate_to_datetime(text)
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
