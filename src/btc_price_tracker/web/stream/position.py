"""From what a client asks for to where its stream begins, and what it carries. Pure.

Precedence: the Last-Event-ID header, then ?last_event_id=, then ?since=, because an EventSource repeats the URL that it
was made with, stale `since` and all, each time it reconnects.
"""

import re
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from btc_price_tracker.web.api.parameters import check_known
from btc_price_tracker.web.problems import Problem

PARAMETERS = ("since", "last_event_id", "with")  # of the stream
GREATEST_ID = 2**53 - 1  # what every JSON reader can hold exactly
AHEAD = 60  # seconds by which a client's clock may be ahead of ours
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


class Anchor(Enum):
    """How a client names its position."""

    NOW = "without parameters: the current price, then live"
    TIME = "since: every stored price from a second on"
    ID = "an id: every price after it"


class Position(NamedTuple):
    """Where a stream begins: after this id. `lost` where the client was somewhere, but can't say where."""

    anchor: Anchor
    after: int = 0
    lost: bool = False


def position(last_event_id: str, query: Mapping[str, str], now: int) -> Position:
    """Read a request's position from its header, "" if it has none, and its query; `now` in ms since the epoch.

    Raises Problem (400) on a bad query parameter; a bad header is ignored, and answered with a gap, because an
    EventSource that gets an error never comes back.
    """
    check_known(query, PARAMETERS)
    if last_event_id:
        after = _integer(last_event_id)
        return _asked(query, now)._replace(lost=True) if after is None else Position(Anchor.ID, after)
    return _asked(query, now)


def with_sources(query: Mapping[str, str]) -> bool:
    """Whether the query asks for `sources` events. Raises Problem (400) on any other value of `with`."""
    value = query.get("with")
    if value not in (None, "sources"):
        raise Problem(400, f"with must be sources, not {value!r}.")
    return value is not None


def _asked(query: Mapping[str, str], now: int) -> Position:
    if "last_event_id" in query:
        after = _integer(query["last_event_id"])
        if after is None:
            raise Problem(
                400, f"last_event_id must be an id from this stream: digits, at most {GREATEST_ID}."
            )
        return Position(Anchor.ID, after)
    if "since" in query:
        seconds = _integer(query["since"])
        if seconds is None:
            raise Problem(400, "since must be a whole number of seconds since the epoch, like 1764000000.")
        check_since(seconds, now)
        return Position(Anchor.TIME, max(seconds * 1000 - 1, 0))
    return Position(Anchor.NOW)


def check_since(seconds: int, now: int) -> None:
    """Refuse a `since` (seconds) from the future of `now` (ms). Raises Problem (400)."""
    if seconds > now // 1000 + AHEAD:
        raise Problem(400, f"since is in the future: it is {now // 1000} now (in seconds, not milliseconds).")


def _integer(text: str) -> int | None:
    if not _DIGITS.fullmatch(text):
        return None
    number = int(text)
    return number if number <= GREATEST_ID else None
