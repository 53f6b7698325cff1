"""How often each source may be polled: its documented limit, spread evenly over its period, and the rate limiter.

Every request counts, failed ones and retries included: CoinGecko documents that, and the others can hardly do
otherwise. A tenth of each limit is kept in reserve for restarts: a new process polls at once.
"""

from random import Random
from urllib.parse import urlsplit

from btc_price_tracker.errors import Banned, RateLimited, SourceError

MONTH = 31 * 86_400.0  # seconds
MAX_PAUSE = 900.0  # seconds of our own back-off at most; the source may ask for longer
BANS = (
    60.0,
    120.0,
    300.0,
    900.0,
    3600.0,
)  # seconds, where a ban gives no end: of the first in a row, the second, …
PROBE = 60.0  # seconds from a request to the next one in spite of a pause, while no source is usable

_SHARE = 0.9  # of a documented limit that is used

# Seconds. Kraken and Gemini allow one request a second; Coinbase 10 a second, OKX 20 in two seconds,
# Bitstamp 10,000 in ten minutes, Binance 3,000 of our requests a minute, Binance.US 600.
_USUAL = 1.0
_SPACING = {
    "bitfinex": 60 / (10 * _SHARE),  # 10 to 90 a minute, depending on load; then the address is blocked
    "blockchain_info": 10.0,  # "one query per 10 s"; the body itself is cached for up to 60
    "coingecko": 60.0,  # keyless: the body is cached for 60 s, so nothing new comes sooner
    "coinpaprika": MONTH / (20_000 * _SHARE),  # 20,000 a month
    "tether": 30.0,  # ours: USDT/USD moves slowly, and Kraken is polled for its own price as well
    "tether_coinbase": 30.0,
}
_COINGECKO_KEYLESS = 60 / 5  # 5 to 15 a minute for all clients behind the address
_COINGECKO_ELSEWHERE = 60 / 15  # a mirror or a test server, which has no such cache
_COINGECKO_DEMO = MONTH / (10_000 * _SHARE)  # 10,000 a month (and 100 a minute, far above this)
_COINGECKO_PRO = MONTH / (100_000 * _SHARE)  # the smallest paid plan: 100,000 a month (and 250 a minute)


def spacing(name: str, base_url: str, *, keyed: bool) -> float:
    """Return the seconds between two requests to a source; with a key, the base URL shows the plan."""
    if name == "coingecko" and keyed:
        return _COINGECKO_PRO if is_pro(base_url) else _COINGECKO_DEMO
    if name == "coingecko" and not _is_coingecko(base_url):
        return _COINGECKO_ELSEWHERE
    return _SPACING.get(name, _USUAL)


def spacing_after_fault(name: str, usual: float, *, keyed: bool) -> float:
    """Return the seconds to the next request after a failed one: shorter than usual if the limit allows."""
    return min(usual, _COINGECKO_KEYLESS) if name == "coingecko" and not keyed else usual


def _is_coingecko(base_url: str) -> bool:
    return (urlsplit(base_url).hostname or "").endswith("coingecko.com")


def is_pro(base_url: str) -> bool:
    """Whether this is CoinGecko's API for paid plans, which has its own host."""
    return (urlsplit(base_url).hostname or "").startswith("pro-api")


class RateLimiter:
    """Spaces the requests to one source. Deterministic: `now` is an argument, in seconds on a monotonic clock."""

    def __init__(
        self,
        spacing: float,
        random: Random,
        after_fault: float | None = None,
        parent: "RateLimiter | None" = None,
    ) -> None:
        """Space requests by so many seconds, `after_fault` after a failed one.

        `parent` is the limiter of another source of the same API, which counts these requests, too.
        """
        self.spacing = spacing
        self._after_fault = spacing if after_fault is None else after_fault
        self._parent = parent
        self._random = random
        self._next = float("-inf")  # the first request may go at once
        self._last = float("-inf")
        self._pause_ends = float("-inf")
        self._strikes = 0  # rate-limited responses in a row
        self._bans = 0  # of these, the ones that gave no end

    def wait(self, now: float) -> float:
        """Return the seconds until the next request is allowed; 0 or less means now."""
        shared = self._parent.wait(now) if self._parent else 0.0
        return max(self._next - now, self._pause_ends - now, shared)

    def is_paused(self, now: float) -> bool:
        """Whether the source itself asked for a pause."""
        return self._pause_ends > now

    def spend(self, now: float) -> None:
        """Count a request that is about to be sent."""
        self._last = now
        self._next = now + self.spacing
        if self._parent:
            self._parent.spend(now)

    def record(self, fault: SourceError | None, now: float) -> None:
        """Adapt to the outcome of a request."""
        match fault:
            case None:
                self.on_success()
            case Banned():
                self.on_ban(now, fault.retry_after)
            case RateLimited():
                self.on_rate_limit(now, fault.retry_after)
            case _:
                self.on_failure(now)

    def on_success(self) -> None:
        """Reset the back-off."""
        self._strikes = self._bans = 0

    def on_failure(self, now: float) -> None:
        """Allow the next request sooner: this one brought no quote."""
        self._next = min(self._next, now + self._after_fault)

    def on_rate_limit(self, now: float, retry_after: float | None) -> None:
        """Pause as long as the source asks, or twice as long with each such response in a row if that is longer."""
        self._strikes += 1
        own = min(self.spacing * 2.0 ** min(self._strikes, 16), max(MAX_PAUSE, self.spacing))
        self._pause(now, max(retry_after or 0.0, own))

    def on_ban(self, now: float, retry_after: float | None) -> None:
        """Pause as long as the source asks; if it gives no time, longer with each ban in a row.

        A network that blocks all its clients for some seconds must not stop us for an hour.
        """
        if retry_after is not None:
            self.on_rate_limit(now, retry_after)
            return
        self._bans += 1
        self._pause(now, max(BANS[min(self._bans, len(BANS)) - 1], self.spacing))

    def shorten_pause(self) -> None:
        """End a pause a minute after the last request, whatever the source asked for: no source is usable."""
        self._pause_ends = min(self._pause_ends, self._last + PROBE)
        if self._parent:
            self._parent.shorten_pause()

    def _pause(self, now: float, seconds: float) -> None:
        self._pause_ends = now + seconds * self._random.uniform(1.0, 1.1)
        if self._parent:
            self._parent._pause_ends = max(self._parent._pause_ends, self._pause_ends)  # noqa: SLF001 - same class
