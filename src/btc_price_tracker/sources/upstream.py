"""One source, asked politely: deadline, retries, breaker and quota, once for all sources.

A call is made only when the rate_limiter and the breaker both let it through. In between, the last quote is
offered again, as old as it is. Whatever goes wrong ends as the fault of an Answer, in words that don't change
while it lasts.

The retries are a few lines of ours: a library's would have to be taught the rate_limiter's spacing, the deadline
shared with everything else and the breaker's single probe, and then there is little left for it to do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from random import Random

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.errors import (
    ConnectionDropped,
    LocalError,
    SourceError,
    SourceUnavailable,
    SourceUnreachable,
)
from btc_price_tracker.price.model import Answer, Quote, SourceState, State
from btc_price_tracker.sources.breaker import Breaker, Circuit
from btc_price_tracker.sources.clocks import Clocks, Reception
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.ratelimit import RateLimiter
from btc_price_tracker.sources.response import read
from btc_price_tracker.sources.secrets import Secrets

Fetch = Callable[[], Awaitable[SourceResponse]]  # one request; raises SourceError
Fresh = Callable[[Answer, int], bool]  # whether an answer still counts at a time in ms since the epoch

RETRIES = 2
BACKOFF = 0.25  # seconds; the first retry waits up to so long, the second up to twice (full jitter)
PATIENCE = (
    0.25  # share of the deadline to wait for the rate_limiter: rounds and spacing are rarely quite in step
)

_log = structlog.get_logger(__name__)


class Upstream:
    """A source and what we remember of it. One `ask` at a time."""

    def __init__(
        self, source: SourceDefinition, fetch: Fetch, rate_limiter: RateLimiter, clock: Clock, random: Random
    ) -> None:
        self.source = source
        self._fetch = fetch
        self._clock = clock
        self._random = random
        self._rate_limiter = rate_limiter
        self._clocks = Clocks(clock)
        self._api = source.name
        self._secrets = Secrets()
        self._breaker = Breaker(random)
        self._quote: Quote | None = None
        self._reply: Reception | None = None  # the one with the quote
        self._latency: float | None = None
        self._error: str | None = None
        self._calls = 0
        self._failures = 0

    async def ask(self, seconds: float) -> Answer:
        """Ask within so many seconds if that is allowed; else answer with the last quote. Never raises."""
        now = self._clock.monotonic()
        if self._rate_limiter.wait(now) <= seconds * PATIENCE and self._breaker.allow(now):
            self._conclude(await self._outcome(seconds))
        return self.answer()

    def shorten_pause(self) -> None:
        """Ask soon in spite of what the source said: no source is usable."""
        self._rate_limiter.shorten()

    def hide(self, secrets: Secrets) -> None:
        """Keep these out of what is said of the source: it may repeat what we send."""
        self._secrets = secrets

    def share_api(self, other: "Upstream") -> None:
        """Count as the same API as another source: stay within its limit, too, and be one voice about the time."""
        self._rate_limiter.within = other._rate_limiter  # noqa: SLF001 - of our own kind
        self._api = other.source.name

    def share_clocks(self, clocks: Clocks) -> None:
        """Tell old replies by these clocks, in which the other sources' are, too."""
        self._clocks = clocks

    def answer(self) -> Answer:
        """The last quote and when it came, and the fault if the last attempt failed."""
        return Answer(
            source=self.source.name,
            kind=self.source.kind,
            currency=self.source.currency,
            quote=self._dated_quote(),
            received_at=self._heard,
            fault=self._fault(),
            spacing=round(self._rate_limiter.spacing * 1000),
            clock_offset=self._clocks.offset(self._api),
        )

    def state(self, fresh: Fresh) -> SourceState:
        """How the source is doing now."""
        now = self._clock.monotonic()
        return SourceState(
            name=self.source.name,
            kind=self.source.kind,
            state=self._state(fresh, now),
            quote=self._dated_quote(),
            received_at=self._heard,
            latency=self._latency,
            next_try=round(max(self._rate_limiter.wait(now), self._breaker.wait(now)), 3),
            spacing=self._rate_limiter.spacing,
            error=self._error,
            calls=self._calls,
            failures=self._failures,
        )

    @property
    def _heard(self) -> int:
        return 0 if self._reply is None else self._reply.at

    def _dated_quote(self) -> Quote | None:
        if self._quote is None or self._reply is None:
            return None
        return self._clocks.dated(self._quote, self._reply)

    def _fault(self) -> str | None:
        if self._error is None:
            return None if self._quote else "not asked yet"
        return self._error if self._breaker.circuit is Circuit.CLOSED else f"{self._error}; circuit open"

    def _state(self, fresh: Fresh, now: float) -> State:
        if self._rate_limiter.pausing(now):
            return State.THROTTLED
        if self._breaker.circuit is not Circuit.CLOSED:
            return State.OPEN
        if self._error is not None:
            return State.ERROR
        if self._quote is None:
            return State.WAITING
        return State.OK if fresh(self.answer(), self._clock.now()) else State.STALE

    async def _outcome(self, seconds: float) -> SourceError | None:
        try:
            async with asyncio.timeout(seconds):
                await self._persist(self._clock.monotonic() + seconds)
        except TimeoutError:
            return SourceUnreachable("no whole answer in time")
        except SourceError as fault:
            return fault
        except Exception as error:  # noqa: BLE001 - a bug in one source's parser mustn't take down the others
            return SourceError(f"the answer can't be read ({type(error).__name__})")
        return None

    async def _persist(self, deadline: float) -> None:
        """Attempt, and again after a fault that may pass if the pause takes half of the time left at most."""
        await self._sleep(self._rate_limiter.wait(self._clock.monotonic()))
        for backoff in self._backoffs():
            try:
                return await self._attempt()
            except (SourceUnreachable, SourceUnavailable):
                now = self._clock.monotonic()
                pause = max(backoff, self._rate_limiter.wait(now))
                if pause > (deadline - now) / 2:
                    raise
                await self._sleep(pause)
        return await self._attempt()

    def _backoffs(self) -> Iterator[float]:
        """The pauses between attempts: none where this is the breaker's probe, which is one call."""
        tries = RETRIES if self._breaker.circuit is Circuit.CLOSED else 0
        return (self._random.uniform(0, BACKOFF * 2**n) for n in range(tries))

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self._clock.sleep(seconds)

    async def _attempt(self) -> None:
        """Ask, and again for each kept connection that turns out to have ended: the source is not to blame."""
        while True:
            with suppress(ConnectionDropped):
                return await self._request()

    async def _request(self) -> None:
        started = self._clock.monotonic()
        self._rate_limiter.spend(started)
        self._calls += 1
        try:
            reply = await self._fetch()
            reception = self._clocks.receive(self._api, reply.headers)
            self._quote, self._reply = read(reply, self.source.parse, reception.at), reception
        except BaseException:
            self._failures += 1
            raise
        self._latency = round((self._clock.monotonic() - started) * 1000, 3)

    def _conclude(self, fault: SourceError | None) -> None:
        """Remember how the ask turned out, and log it where that is a change."""
        now = self._clock.monotonic()
        before, self._error = self._error, None if fault is None else self._secrets.hide(str(fault))
        was_closed = self._breaker.circuit is Circuit.CLOSED
        if not isinstance(fault, LocalError):  # says nothing about the source
            self._breaker.record(ok=fault is None, now=now)
            self._rate_limiter.record(fault, now)
        self._log_change(before, was_closed=was_closed)

    def _log_change(self, before: str | None, *, was_closed: bool) -> None:
        name = self.source.name
        if self._error is None and before is not None:
            _log.info("source recovered", source=name)
        if self._error is not None and before is None:
            _log.warning("source failing", source=name, error=self._error)
        if was_closed and self._breaker.circuit is not Circuit.CLOSED:
            _log.debug("circuit opened", source=name, error=self._error)
