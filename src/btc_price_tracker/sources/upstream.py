"""A source that is polled over HTTP: deadline, retries, breaker and quota, once for all of them.

A request is sent only when the rate limiter and the breaker both allow it. In between, the last quote is given again,
as old as it is. Whatever goes wrong ends as the fault of an Answer, in a text that doesn't change while it lasts.

The retries are a few lines of ours: a library's would need adapting to the rate limiter's spacing, the deadline that
all attempts share and the breaker's single probe, and little would be left for it to do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from random import Random

from btc_price_tracker.clock import Clock
from btc_price_tracker.errors import (
    ConnectionDropped,
    LocalError,
    RateLimited,
    SourceError,
    SourceUnavailable,
    SourceUnreachable,
)
from btc_price_tracker.price.model import Answer, Quote, SourceState, State
from btc_price_tracker.sources.breaker import Breaker, Circuit
from btc_price_tracker.sources.clocks import Clocks, Reception
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.events import (
    log_circuit,
    log_error,
    log_not_polled,
    log_rate_limit,
)
from btc_price_tracker.sources.meters import OK, SourceMeters, outcome_of
from btc_price_tracker.sources.ratelimit import RateLimiter
from btc_price_tracker.sources.response import read
from btc_price_tracker.sources.secrets import NO_SECRETS, Secrets

Fetch = Callable[[], Awaitable[SourceResponse]]  # one request; raises SourceError

RETRIES = 2
BACKOFF = 0.25  # seconds; the first retry waits up to this long, the second up to twice as long (full jitter)
MAX_WAIT = 0.25  # of the time limit, to wait for the rate limiter: rounds and spacing are rarely in step
LATE = "no response yet"


class Upstream:
    """Implements Source. Remembers the last quote and how the last attempt turned out."""

    def __init__(
        self,
        definition: SourceDefinition,
        fetch: Fetch,
        rate_limiter: RateLimiter,
        clock: Clock,
        random: Random,
        *,
        clocks: Clocks | None = None,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        """`clocks` are shared with the sources that this one's responses are compared with.

        `secrets` are removed from every fault: the source may repeat what is sent to it.
        """
        self.name = definition.name
        self.kind = definition.kind
        self.currency = definition.currency
        self.rate_limiter = rate_limiter
        self._definition = definition
        self._api = definition.api or definition.name
        self._fetch = fetch
        self._clock = clock
        self._random = random
        self._clocks = Clocks(clock) if clocks is None else clocks
        self._secrets = secrets
        self._breaker = Breaker(random)
        self._poll: asyncio.Task[None] | None = None  # in progress; in no task group: `aclose` cancels it
        self._quote: Quote | None = None
        self._reception: Reception | None = None  # the one with the quote
        self._latency: float | None = None
        self._error: str | None = None
        self._requests = 0
        self._failures = 0
        self.meters = SourceMeters(self.name)

    async def refresh(self, time_limit: float, *, urgent: bool = False) -> None:
        """Send a request if the rate limiter and the breaker allow one within `time_limit` seconds; see Source."""
        if self._poll is None:
            if urgent:
                self.rate_limiter.shorten_pause()
            now = self._clock.monotonic()
            if self.rate_limiter.wait(now) > time_limit * MAX_WAIT or not self._allow(now):
                log_not_polled(self.name, self.rate_limiter.wait(now), self._breaker.circuit)
                return
            self._poll = asyncio.create_task(self._run(time_limit))
            self._poll.add_done_callback(self._forget)
        await asyncio.wait([self._poll])

    def answer(self) -> Answer:
        """Return the last quote and when it was received, and the fault of the last attempt."""
        return Answer(
            source=self.name,
            kind=self.kind,
            currency=self.currency,
            quote=self._dated_quote(),
            received_at=self._received_at,
            fault=LATE if self._poll else self._fault(),
            spacing=round(self.rate_limiter.spacing * 1000),
            clock_offset=self._clocks.offset(self._api),
        )

    def state(self) -> SourceState:
        """Return how the source is doing now; see Source."""
        now = self._clock.monotonic()
        return SourceState(
            name=self.name,
            kind=self.kind,
            state=self._state(now),
            quote=self._dated_quote(),
            received_at=self._received_at,
            latency=self._latency,
            next_try=round(max(self.rate_limiter.wait(now), self._breaker.wait(now)), 3),
            spacing=self.rate_limiter.spacing,
            error=self._error,
            calls=self._requests,
            failures=self._failures,
        )

    async def aclose(self) -> None:
        """Cancel the request in progress."""
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.wait([self._poll])

    @property
    def circuit(self) -> Circuit:
        """The state of the circuit breaker."""
        return self._breaker.circuit

    def _allow(self, now: float) -> bool:
        """Whether the circuit breaker allows a request."""
        circuit = self._breaker.circuit
        is_allowed = self._breaker.allow(now)
        self.meters.circuit(circuit, self._breaker.circuit)
        return is_allowed

    @property
    def _received_at(self) -> int:
        return 0 if self._reception is None else self._reception.at

    def _dated_quote(self) -> Quote | None:
        if self._quote is None or self._reception is None:
            return None
        return self._clocks.dated(self._quote, self._reception)

    def _fault(self) -> str | None:
        if self._error is None:
            return None if self._quote else "not polled yet"
        return self._error if self._breaker.circuit is Circuit.CLOSED else f"{self._error}; circuit open"

    def _state(self, now: float) -> State:
        if self.rate_limiter.is_paused(now):
            return State.THROTTLED
        if self._breaker.circuit is not Circuit.CLOSED:
            return State.OPEN
        if self._error is not None:
            return State.ERROR
        return State.WAITING if self._quote is None else State.OK

    def _forget(self, _: asyncio.Task[None]) -> None:
        self._poll = None

    async def _run(self, time_limit: float) -> None:
        before = self._requests
        error = await self._error_of_attempts(time_limit)
        self._conclude(error, attempts=self._requests - before)

    async def _error_of_attempts(self, time_limit: float) -> SourceError | None:
        try:
            async with asyncio.timeout(time_limit):
                await self._persist(self._clock.monotonic() + time_limit)
        except TimeoutError:
            return SourceUnreachable("no complete response in time")
        except SourceError as error:
            return error
        except Exception as error:  # noqa: BLE001 - a bug in one source's parser mustn't affect the others
            return SourceError(f"the response can't be read ({type(error).__name__})")
        return None

    async def _persist(self, deadline: float) -> None:
        """Attempt, and retry after a transient fault if the pause takes half of the time left at most."""
        await self._sleep(self.rate_limiter.wait(self._clock.monotonic()))
        for backoff in self._backoffs():
            try:
                return await self._attempt()
            except (SourceUnreachable, SourceUnavailable):
                now = self._clock.monotonic()
                pause = max(backoff, self.rate_limiter.wait(now))
                if pause > (deadline - now) / 2:
                    raise
                self.meters.retries += 1
                await self._sleep(pause)
        return await self._attempt()

    def _backoffs(self) -> Iterator[float]:
        """Yield the pauses between attempts: none where this is the breaker's probe, which is one request."""
        retries = RETRIES if self._breaker.circuit is Circuit.CLOSED else 0
        return (self._random.uniform(0, BACKOFF * 2**n) for n in range(retries))

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            await self._clock.sleep(seconds)

    async def _attempt(self) -> None:
        """Send a request, again for each kept connection that turns out to have ended: no fault of the source."""
        while True:
            with suppress(ConnectionDropped):
                return await self._request()

    async def _request(self) -> None:
        started = self._clock.monotonic()
        self.rate_limiter.spend(started)
        self._requests += 1
        try:
            response = await self._fetch()
            self.meters.quota(response.headers)
            reception = self._clocks.receive(self._api, response.headers)
            self._quote, self._reception = read(response, self._definition.parse, reception.at), reception
        except BaseException as error:
            self._failures += 1
            self.meters.record(outcome_of(error), self._clock.monotonic() - started)
            raise
        elapsed = self._clock.monotonic() - started
        self.meters.record(OK, elapsed)
        self._latency = round(elapsed * 1000, 3)

    def _conclude(self, error: SourceError | None, attempts: int) -> None:
        """Remember how the attempts turned out."""
        now = self._clock.monotonic()
        previous, self._error = self._error, None if error is None else self._secrets.hide(str(error))
        circuit = self._breaker.circuit
        if not isinstance(error, LocalError):  # no evidence about the source
            self._breaker.record(ok=error is None, now=now)
            self.rate_limiter.record(error, now)
        status = None if error is None else error.status
        log_error(self.name, previous, self._error, attempts=attempts, status=status)
        self.meters.circuit(circuit, self._breaker.circuit)
        log_circuit(self.name, circuit, self._breaker, now)
        if isinstance(error, RateLimited):
            log_rate_limit(self.name, self.rate_limiter.wait(now))
