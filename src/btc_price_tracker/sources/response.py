"""What a reply amounts to: a quote, or the fault it is. Pure."""

import re
from collections.abc import Callable, Mapping

from btc_price_tracker.errors import Banned, InvalidQuote, RateLimited, SourceRefused, SourceUnavailable
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.headers import http_date

# Seconds that a stated time is honoured at most; anything longer is a mistake or a trap. Cloudflare's pages and servers
# in trouble say what they like; Binance documents bans of up to three days, and tells their end in its message.
LONGEST_PAUSE = 3_600.0
LONGEST_BAN = 3 * 86_400.0

_WORDS = {
    402: "its free quota is used up",
    403: "we are blocked",
    418: "banned for asking too often",
    429: "asked too often",
    451: "not offered where we are",
}
# The source chooses the text that these meet: repeats are bounded, and only so much of it is looked at.
BODY_START = 8192  # bytes; Cloudflare's error code is within the first three thousand of its page
HEADER_START = 256  # characters

_DATE_OR_NUMBER = re.compile(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},[^,]*|[^,]+")
_SECONDS = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
_BANS = frozenset({402, 403, 418, 451})
_CLOUDFLARE_BAN = re.compile(
    rb"error(?: code|</span>)?:?(?:\s{0,20}<span[^>]{0,200}>)?\s{0,20}10(?:15|20)\b", re.IGNORECASE
)
_BANNED_UNTIL = re.compile(rb"banned until ([0-9]{13})\b")  # Binance: epoch ms inside the message


def read(reply: SourceResponse, parse: Callable[[bytes], Quote], heard: int) -> Quote:
    """Return the quote in a reply that was heard at `heard` (ms since the epoch).

    Raises SourceError; where the source says in its body why it refuses, in the source's words.
    """
    said: SourceRefused | None = None
    try:
        quote = parse(reply.body)
        if reply.status == 200:
            return quote
    except SourceRefused as fault:
        said = fault
    except InvalidQuote as fault:
        if reply.status == 200:
            raise _as_encoded(fault, reply.headers) from fault
    raise _refusal(reply, said, heard) from None


def _as_encoded(fault: InvalidQuote, headers: Mapping[str, str]) -> InvalidQuote:
    """The fault, and how the body was packed if it was: br, zstd and a cut gzip look like anything but JSON."""
    encoding = ascii(headers.get("content-encoding", ""))[1:-1][:20]
    return InvalidQuote(f"{fault} (Content-Encoding: {encoding})") if encoding else fault


def _refusal(reply: SourceResponse, said: SourceRefused | None, heard: int) -> SourceRefused:
    words = _words(reply.status, said)
    pause = _pause(reply, heard)
    if pause is None and isinstance(said, RateLimited):
        pause = said.retry_after
    if reply.status in _BANS or (reply.status != 200 and _CLOUDFLARE_BAN.search(reply.body[:BODY_START])):
        return Banned(words, pause)
    if reply.status == 429 or isinstance(said, RateLimited) or pause is not None:
        return RateLimited(words, pause)
    return SourceUnavailable(words) if reply.status >= 500 else SourceRefused(words)


def _words(status: int, said: SourceRefused | None) -> str:
    if status == 200:
        return str(said)
    moved = status in (300, 301, 302, 303, 307, 308)
    meaning = "it redirects, which we don't follow" if moved else _WORDS.get(status)
    return ": ".join(str(part) for part in (f"HTTP {status}", meaning, said) if part)


def _pause(reply: SourceResponse, heard: int) -> float | None:
    """Seconds that the source wants us to wait, by its own clock if it shows one; None if it doesn't say."""
    now = http_date(reply.headers.get("date", "")) or heard
    if match := _BANNED_UNTIL.search(reply.body[:BODY_START]):
        return _bounded((int(match[1]) - now) / 1000, LONGEST_BAN)
    header = reply.headers.get("retry-after", "")[:HEADER_START]
    texts = _DATE_OR_NUMBER.findall(header)  # two such headers come as one
    waits = (_bounded(wait, LONGEST_PAUSE) for text in texts if (wait := _wait(text, now)) is not None)
    return max(waits, default=None)


def _wait(text: str, now: int) -> float | None:
    """Seconds, given as such or as a date; None where it is neither."""
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    moment = http_date(text)
    return None if moment is None else (moment - now) / 1000


def _bounded(seconds: float, longest: float) -> float:
    return min(max(seconds, 0.0), longest)
