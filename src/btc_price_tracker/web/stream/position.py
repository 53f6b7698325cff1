"""The position at which a requested stream begins, and whether it includes sources.

Precedence: the Last-Event-ID header, then ?last_event_id=, then ?since=, because an EventSource repeats its URL,
including an outdated `since`, each time it reconnects.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from btc_price_tracker.web.api.parameters import check_known
from btc_price_tracker.web.problems import Problem

PARAMETERS = ("since", "last_event_id", "with")  # of the stream
MAX_ID = 2**53 - 1  # what every JSON reader can hold exactly
CLOCK_TOLERANCE = 60  # seconds by which a client's clock may be ahead of ours
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


class Anchor(Enum):
    """How a client specifies its position."""

    NOW = "without parameters: the current price, then live"
    TIME = "since: every stored price from a second on"
    ID = "an id: every price after it"


class Position(NamedTuple):
    """A stream begins after this id. `lost`: the client sent a position that can't be read."""

    anchor: Anchor
    after: int = 0
    lost: bool = False


def position(last_event_id: str, query: Mapping[str, str], now: int) -> Position:
    """Read a request's position from its header, "" if it has none, and its query; `now` in ms since the epoch.

    Raises Problem (400) on a bad query parameter; a bad header is ignored and leads to a gap, because an
    EventSource that gets an error never reconnects.
    """
    check_known(query, PARAMETERS)
    after, since = _last_event_id(query), _since(query)  # both are checked, whichever counts
    if last_event_id and (sent := _integer(last_event_id)) is not None:
        return Position(Anchor.ID, sent)
    lost = bool(last_event_id)
    if after is not None:
        return Position(Anchor.ID, after, lost)
    if since is not None:
        check_since(since, now)
        return Position(Anchor.TIME, max(since * 1000 - 1, 0), lost)
    return Position(Anchor.NOW, lost=lost)


def with_sources(query: Mapping[str, str]) -> bool:
    """Whether the query asks for `sources` events. Raises Problem (400) on any other value of `with`."""
    value = query.get("with")
    if value not in (None, "sources"):
        raise Problem(400, f"with must be sources, not {value!r}.")
    return value is not None


def _last_event_id(query: Mapping[str, str]) -> int | None:
    if "last_event_id" not in query:
        return None
    after = _integer(query["last_event_id"])
    if after is None:
        raise Problem(400, f"last_event_id must be an id from this stream: digits, at most {MAX_ID}.")
    return after


def _since(query: Mapping[str, str]) -> int | None:
    if "since" not in query:
        return None
    seconds = _integer(query["since"])
    if seconds is None:
        raise Problem(400, "since must be a whole number of seconds since the epoch, like 1764000000.")
    return seconds


def check_since(seconds: int, now: int) -> None:
    """Raise Problem (400) for a `since` (seconds) after `now` (ms)."""
    if seconds > now // 1000 + CLOCK_TOLERANCE:
        raise Problem(400, f"since is in the future: now is {now // 1000} (in seconds, not milliseconds).")


def _integer(text: str) -> int | None:
    if not _DIGITS.fullmatch(text):
        return None
    number = int(text)
    return number if number <= MAX_ID else None
