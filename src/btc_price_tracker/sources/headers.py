"""What the headers of a reply say about time: when it was made, and how long it has lain in caches since."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from btc_price_tracker.sources.quoting import GENESIS, HORIZON

LONGEST_DATE = 64  # characters; the three formats of RFC 9110 5.6.7 have at most 33
OLDEST_WITNESS = 86_400  # seconds in caches, after which a reply says nothing about a clock

LONGEST_AGE = 256  # characters of it that are looked at
OVERFLOW = 2**31  # seconds

_DIGITS = re.compile(r"[0-9]+")


def source_time(headers: Mapping[str, str]) -> int | None:
    """The source's wall clock as the reply left for us, in ms since the epoch, exact to the second.

    It is the `Date`, and the `Age` added where caches have held the reply since (RFC 9111 4.2.3).
    None where there is no usable Date.
    """
    made, held = http_date(headers.get("date", "")), age(headers)
    if made is None or not GENESIS <= made <= HORIZON or held > OLDEST_WITNESS:
        return None
    return made + held * 1000


def age(headers: Mapping[str, str]) -> int:
    """Seconds that caches have held the reply, by their `Age`; 0 where they don't say.

    Of a list (caches that add theirs instead of correcting it) the greatest counts: RFC 9111 5.1 would take the first,
    but an old price must not look fresh. More than fits stands for very old (1.2.2).
    """
    ages = headers.get("age", "")[:LONGEST_AGE].split(",")
    return max(
        (min(int(each), OVERFLOW) for each in map(str.strip, ages) if _DIGITS.fullmatch(each)), default=0
    )


def http_date(text: str) -> int | None:
    """An HTTP date in ms since the epoch, or None where it is no date."""
    if len(text) > LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
