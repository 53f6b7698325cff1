"""Interpret a response: return its quote, or raise the error that it means. Pure."""

import re
from collections.abc import Callable, Mapping

from btc_price_tracker.errors import (
    Banned,
    InvalidQuote,
    RateLimited,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.headers import http_date

# Seconds that a requested pause is obeyed at most; anything longer is a mistake or an attack. Cloudflare's pages and
# failing servers send arbitrary times; Binance documents bans of up to three days, with their end in its message.
MAX_PAUSE = 3_600.0
MAX_BAN = 3 * 86_400.0

_REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
_MEANINGS = {
    402: "free quota used up",
    403: "this address is blocked",
    418: "banned for too many requests",
    429: "too many requests",
    451: "not available in this region",
    **dict.fromkeys(_REDIRECTS, "redirects are not followed"),
}
# The source chooses the text that these patterns search: repeats are bounded, and only its start is searched.
BODY_START = 8192  # bytes; Cloudflare's error code is within the first three thousand of its page
HEADER_START = 256  # characters

_DATE_OR_NUMBER = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},[^,]*|[^,]+")
_SECONDS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
BLANKS = " \t"  # around a header's value (RFC 9110 5.5); Python's strip() takes off control characters, too
_BANS = frozenset({402, 403, 418, 451})
_CLOUDFLARE_BAN = re.compile(
    rb"error(?: code|</span>)?:?(?:\s{0,20}<span[^>]{0,200}>)?\s{0,20}10(?:15|20)\b", re.IGNORECASE
)
_BANNED_UNTIL = re.compile(rb"banned until ([0-9]{13})\b")  # Binance: epoch ms inside the message


def read(response: SourceResponse, parse: Callable[[bytes], Quote], received_at: int) -> Quote:
    """Return the quote in a response that was received at `received_at` (ms since the epoch).

    Raises SourceError with the status of the response; if the body has an error message, with that.
    """
    try:
        return _read(response, parse, received_at)
    except SourceError as error:
        error.status = response.status
        raise


def _read(response: SourceResponse, parse: Callable[[bytes], Quote], received_at: int) -> Quote:
    error: SourceRefused | None = None
    try:
        quote = parse(response.body)
        if response.status == 200:
            return quote
    except SourceRefused as refused:
        error = refused
    except InvalidQuote as invalid:
        if response.status == 200:
            raise _with_encoding(invalid, response.headers) from invalid
    raise _refusal(response, error, received_at) from None


def _with_encoding(error: InvalidQuote, headers: Mapping[str, str]) -> InvalidQuote:
    """Add the content encoding if there is one: br, zstd and truncated gzip look like anything but JSON."""
    encoding = headers.get("content-encoding", "")[:20]
    return InvalidQuote(f"{error} (Content-Encoding: {encoding})") if encoding else error


def _refusal(response: SourceResponse, error: SourceRefused | None, received_at: int) -> SourceRefused:
    message = _message(response.status, error)
    pause = _pause(response, received_at)
    if pause is None and isinstance(error, RateLimited):
        pause = error.retry_after
    is_cloudflare_ban = response.status != 200 and _CLOUDFLARE_BAN.search(response.body[:BODY_START])
    if response.status in _BANS or is_cloudflare_ban:
        return Banned(message, pause)
    if response.status == 429 or isinstance(error, RateLimited) or pause is not None:
        return RateLimited(message, pause)
    return SourceUnavailable(message) if response.status >= 500 else SourceRefused(message)


def _message(status: int, error: SourceRefused | None) -> str:
    if status == 200:
        return str(error)
    return ": ".join(str(part) for part in (f"HTTP {status}", _MEANINGS.get(status), error) if part)


def _pause(response: SourceResponse, received_at: int) -> float | None:
    """Return the seconds that the source asks us to wait, by its own clock if it has a Date; None if it doesn't."""
    now = http_date(response.headers.get("date", "")) or received_at
    if match := _BANNED_UNTIL.search(response.body[:BODY_START]):
        return _bounded((int(match[1]) - now) / 1000, MAX_BAN)
    header = response.headers.get("retry-after", "")[:HEADER_START]
    texts = _DATE_OR_NUMBER.findall(header)  # two such headers come as one
    waits = (_bounded(wait, MAX_PAUSE) for text in texts if (wait := _wait(text, now)) is not None)
    return max(waits, default=None)


def _wait(text: str, now: int) -> float | None:
    """Return a Retry-After value in seconds, from a number or a date; None if it is neither."""
    value = text.strip(BLANKS)
    if _SECONDS.fullmatch(value):
        return float(value)
    time = http_date(value)
    return None if time is None else (time - now) / 1000


def _bounded(seconds: float, maximum: float) -> float:
    return min(max(seconds, 0.0), maximum)
