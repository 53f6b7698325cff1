"""The terms of the project as types: Quote, Answer, AssessedQuote, Tick, Status, Update.

Prices are exact decimals in US dollars. Times are integer milliseconds since the epoch, ages integer
milliseconds, unless a name says seconds. Everything here is frozen: a published price cannot change.
"""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, Self

from msgspec import Struct, field
from msgspec.structs import replace

__all__ = [
    "CENT",
    "EXCLUSIONS",
    "PAIR",
    "Answer",
    "AssessedQuote",
    "Kind",
    "Policy",
    "Quote",
    "QuoteState",
    "SourceState",
    "Stages",
    "State",
    "Status",
    "Tick",
    "Update",
]

CENT = Decimal("0.01")
PAIR = "BTC/USD"  # of every price


class Status(StrEnum):
    """How well the published price is supported."""

    OK = "ok"  # three exchanges or more agree
    DEGRADED = "degraded"  # two agree
    SINGLE_SOURCE = "single_source"  # only one, unconfirmed
    STALE = "stale"  # none is fresh: the last price, its age grows


class Kind(StrEnum):
    """What a source is: a market, or a service that re-reports markets."""

    EXCHANGE = "exchange"
    AGGREGATOR = "aggregator"  # never counts toward the quorum


class Quote(Struct, frozen=True):
    """The content of one response: US dollars, or tethers where the source's `currency` is USDT."""

    last: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    time: int | None = None  # the source's own time, ms since the epoch, where it has one


class Answer(Struct, frozen=True):
    """The result of polling one source: its newest quote and when that arrived, or the fault in its place."""

    source: str
    kind: Kind
    currency: str = "USD"
    quote: Quote | None = None
    received_at: int = 0  # ms since the epoch at which the quote arrived
    fault: str | None = None  # why there is no fresh quote; with a quote: why the last attempt failed
    rate: Decimal | None = None  # live USD per unit of `currency`, where that isn't USD
    rate_from: str | None = None  # the source of the rate, where it alone gives it
    spacing: int = 0  # ms that its quota puts between two quotes
    # ms by which our wall clock is ahead of the source's, by the HTTP `Date` of its last reply, whatever its status,
    # and the time passed since. None where no reply had one. Exact to a second and as long as that reply took.
    clock_offset: int | None = None


class QuoteState(StrEnum):
    """What became of a quote in a round. `wording.why_unused` has the sentence for each but `USED`."""

    USED = "used"
    FAILED = "failed"  # no quote, or none that counts: the source failed or has not answered yet
    NO_RATE = "no_rate"  # not in dollars, and without a live rate
    IMPLAUSIBLE = "implausible"
    CLOCK_AHEAD = "clock_ahead"  # dated so far in the future that its age is unknown
    STALE = "stale"
    FROZEN = "frozen"  # unchanged while the others move
    EXCLUDED = "excluded"  # far from the others
    RETURNING = "returning"  # excluded as well: near the others again, but not yet for long enough
    DISPUTED = "disputed"  # the exchanges disagree, and it is on no side, or on the other one
    RESERVE = "reserve"  # an aggregator, while exchanges vote
    UNCONFIRMED = "unconfirmed"  # part of a jump that waits for the next round
    NOT_NEEDED = "not_needed"  # fallback: another source is preferred


EXCLUSIONS = (QuoteState.EXCLUDED, QuoteState.RETURNING)


class AssessedQuote(Struct, frozen=True):
    """One source's part in a tick: its quote, its vote, and whether that was used.

    `price` ± `confidence` is the vote in US dollars, rounded; the rule computes with the raw fields.
    Without a confidence there is no vote. `reason` is None where the vote was used, else why not.
    """

    source: str
    kind: Kind
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    time: int | None = None
    rate: Decimal | None = None
    age: int | None = None  # ms at the time of the tick
    price: Decimal | None = None
    # Exported files and snapshots call it `interval`.
    confidence: Decimal | None = field(default=None, name="interval")
    used: bool = False
    reason: str | None = None
    rate_from: str | None = None  # the source of the rate, where it alone gave it
    state: QuoteState | None = None  # None before the round decides, and in ticks of earlier versions
    offset: Decimal | None = None  # part of the price that is subtracted from the vote; None for zero
    usual_offset: Decimal | None = None  # the learned one at the time of the tick; None before it has voted

    @property
    def voice(self) -> str:
        """The source that the quote rests on: two quotes with one voice aren't independent of each other."""
        return self.rate_from or self.source

    @property
    def fresh(self) -> bool:
        """Whether the quote was plausible, convertible and recent, so that it could vote; used or not."""
        return self.confidence is not None


class Tick(Struct, frozen=True):
    """A published price. `id` is its time in ms, strictly increasing (docs/decisions/ids-and-gaps.md)."""

    id: int
    price: Decimal  # exact to the cent
    status: Status
    sources: int  # how many were used
    spread: Decimal  # half-width in dollars within which they agree, exact to the cent
    quote_age: int  # ms since the newest quote that it rests on, at the time of publication
    method: str  # the rule that made it, with its version
    quotes: tuple[AssessedQuote, ...] = ()
    recorded: bool = False  # whether it was made from recorded quotes that are played back

    @property
    def timestamp(self) -> int:
        """Publication time in whole seconds since the epoch."""
        return self.id // 1000

    @property
    def age(self) -> int:
        """Age of the evidence at the time of publication, in whole seconds."""
        return self.quote_age // 1000

    def after(self, elapsed: int) -> Self:
        """The same `elapsed` ms after its publication: its evidence has aged."""
        return replace(self, quote_age=self.quote_age + elapsed)

    def outdated(self) -> Self:
        """The same where nothing fresh has followed it."""
        return replace(self, status=Status.STALE, sources=0)


class State(StrEnum):
    """The state of a source, the most serious first."""

    THROTTLED = "throttled"  # it asked for fewer requests, or bans this address
    OPEN = "open"  # it mostly failed: its circuit is open
    ERROR = "error"  # the last attempt failed
    WAITING = "waiting"  # not polled yet
    STALE = "stale"  # it answers, but with an old price
    OK = "ok"


class SourceState(Struct, frozen=True):
    """One source after a round. The counters only grow, for metrics."""

    name: str
    kind: Kind
    state: State
    quote: Quote | None  # the last one
    received_at: int  # ms since the epoch; 0 before the first quote
    latency: float | None  # ms that the last good answer took
    next_try: float  # seconds until it may be polled again; 0 means in the next round
    spacing: float  # seconds that its quota puts between two polls
    error: str | None  # why the last attempt failed; None if it succeeded
    calls: int  # requests sent, retries included
    failures: int  # of these, the ones that brought no quote


class Stages(Struct, frozen=True):
    """When a round passed each stage, in ms since the epoch by the clock of the instance that leads."""

    polled: int = 0  # the round began
    concluded: int = 0  # the policy decided
    published: int = 0  # handed to the broker


class Update(Struct, frozen=True):
    """The result of one round: all that an instance needs to answer every request by itself.

    `quotes` and `sources` are there for every source, also when there is no tick.
    """

    status: Status
    reason: str
    tick: Tick | None = None
    quotes: tuple[AssessedQuote, ...] = ()
    sources: tuple[SourceState, ...] = ()
    silence: int | None = None  # ms since any source answered; None if none has yet
    stages: Stages = Stages()
    term: int = 0  # of the leader that concluded the round; later leaders have higher ones
    trace: str | None = None  # W3C traceparent of the round
    leader: str = ""  # the name of the instance that concluded it
    previous: int = 0  # the id published before this update; 0 where the leader doesn't say


class Policy(Protocol):
    """Decides the price from rounds of answers. Deterministic: the same rounds at the same times give the same updates.

    One policy serves one term of the leader.
    """

    @property
    def last(self) -> Tick | None:
        """The last tick it made, or was given at the start."""

    def decide(self, answers: Sequence[Answer], now: int) -> Update:
        """Conclude from one round of answers, in order of preference, at `now` (ms since the epoch)."""
