"""The bodies of responses, computed from the parts of an instance."""

from decimal import Decimal
from typing import Annotated, Any, Self

from msgspec import Meta, Struct

from btc_price_tracker.broker.link import Link
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.freshness import age
from btc_price_tracker.price.model import (
    EXCLUSIONS,
    PAIR,
    AssessedQuote,
    Kind,
    QuoteState,
    SourceState,
    State,
    Status,
    Tick,
    Update,
)
from btc_price_tracker.store.outbox import Outbox

BASIS_POINTS = 10_000
STATES = (*State, QuoteState.EXCLUDED)  # that a source can be in


class PriceView(Struct, omit_defaults=True):
    """A price with the fields of a stream's; the order is the public order. `recorded` is there only if true."""

    id: int
    timestamp: int
    price: Decimal
    status: Status
    sources: int
    spread: Decimal
    age: int  # s
    quote_age: int  # ms
    method: str
    pair: str
    recorded: bool = False

    @classmethod
    def of(cls, tick: Tick) -> Self:
        """The public fields of a tick."""
        return cls(**_fields(tick))


class QuoteView(Struct, frozen=True):
    """The quote of a source for a price; `price` ± `confidence` is its vote in US dollars."""

    source: str
    kind: Kind
    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    time_ms: int | None  # its own
    rate: Decimal | None
    rate_from: str | None
    age: Decimal | None  # s
    price: Decimal | None
    confidence: Decimal | None
    used: bool
    state: QuoteState | None  # why it is not used, as a value; null in prices of earlier versions
    reason: str | None
    offset: Decimal | None  # part of the price, subtracted from the vote
    usual_offset: Decimal | None  # as learned before this price

    @classmethod
    def of(cls, quote: AssessedQuote) -> Self:
        """The public fields of a quote."""
        return cls(
            source=quote.source,
            kind=quote.kind,
            last=quote.last,
            bid=quote.bid,
            ask=quote.ask,
            time_ms=quote.time,
            rate=quote.rate,
            rate_from=quote.rate_from,
            age=None if quote.age is None else Decimal(quote.age).scaleb(-3),
            price=quote.price,
            confidence=quote.confidence,
            used=quote.used,
            state=quote.state,
            reason=quote.reason,
            offset=quote.offset,
            usual_offset=quote.usual_offset,
        )

    def quote(self) -> AssessedQuote:
        """The quote that this view was made of."""
        return AssessedQuote(
            source=self.source,
            kind=self.kind,
            last=self.last,
            bid=self.bid,
            ask=self.ask,
            time=self.time_ms,
            rate=self.rate,
            rate_from=self.rate_from,
            age=None if self.age is None else int(self.age.scaleb(3)),
            price=self.price,
            confidence=self.confidence,
            used=self.used,
            state=self.state,
            reason=self.reason,
            offset=self.offset,
            usual_offset=self.usual_offset,
        )


class Provenance(PriceView, kw_only=True):
    """A price with the quotes that it was computed from."""

    quotes: tuple[QuoteView, ...]

    @classmethod
    def of(cls, tick: Tick) -> Self:
        """All fields of a tick."""
        return cls(**_fields(tick), quotes=tuple(map(QuoteView.of, tick.quotes)))

    def tick(self) -> Tick:
        """The tick that this view was made of, for `price.recompute`."""
        return Tick(
            id=self.id,
            price=self.price,
            status=self.status,
            sources=self.sources,
            spread=self.spread,
            quote_age=self.quote_age,
            method=self.method,
            quotes=tuple(quote.quote() for quote in self.quotes),
            recorded=self.recorded,
        )


def _fields(tick: Tick) -> dict[str, Any]:
    return {
        "id": tick.id,
        "timestamp": tick.timestamp,
        "price": tick.price,
        "status": tick.status,
        "sources": tick.sources,
        "spread": tick.spread,
        "age": tick.age,
        "quote_age": tick.quote_age,
        "method": tick.method,
        "pair": PAIR,
        "recorded": tick.recorded,
    }


class CandleView(Struct):
    """A candle, and whether it is final: no price can be added to it."""

    timestamp: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    count: int
    final: bool

    @classmethod
    def of(cls, candle: Candle, seconds: int, settled: int) -> Self:
        """A candle of so many seconds; no price from before `settled` (seconds) is still to be stored."""
        final = candle.timestamp + seconds <= settled
        return cls(candle.timestamp, candle.open, candle.high, candle.low, candle.close, candle.count, final)


class SourceView(Struct):
    """The state of a source, and its quote in the last round."""

    name: str
    kind: Kind
    state: Annotated[str, Meta(extra_json_schema={"enum": STATES})]
    price: Decimal | None
    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    time_ms: int | None  # its own
    age: float | None  # seconds
    deviation_bp: float | None
    latency_ms: float | None
    used: bool
    reason: str | None
    next_try_s: float
    error: str | None


class StoreView(Struct):
    """Whether prices are being stored, and how many are queued or lost."""

    fault: str | None
    waiting: int
    lost: int


class BrokerView(Struct):
    """Which instance made the last round, how old that is, and whether the broker works."""

    instance: str  # the name of this one
    leader: str | None  # the name of the one that polled; None before the first round
    term: int
    age: float | None  # seconds since the round ended
    fault: str | None


class SourcesView(Struct):
    """Every source, the price they led to, and whether prices are being stored."""

    timestamp: int  # seconds; ages are as of this time
    recorded: bool
    origin: str | None
    status: Status
    reason: str
    price: Decimal | None
    interval: float  # seconds between prices
    heartbeat: float  # seconds of silence after which a stream gets one
    store: StoreView
    broker: BrokerView
    sources: list[SourceView]


class Liveness(Struct):
    """Whether the process is alive."""

    alive: bool
    version: str
    lag_ms: int  # the longest delay of the event loop in the last minute


def store_view(outbox: Outbox) -> StoreView:
    """The state of the store."""
    return StoreView(outbox.fault, len(outbox), outbox.lost)


def broker_view(instance: str, hub: Hub, link: Link, now: int) -> BrokerView:
    """The broker, as `/sources` shows it at `now` (ms)."""
    update, concluded = hub.update, hub.update.stages.concluded
    age = max(now - concluded, 0) / 1000 if concluded else None
    return BrokerView(instance, update.leader or None, update.term, age, link.fault)


def source_views(update: Update, latest: Tick | None, now: int) -> list[SourceView]:
    """Every source as of `now` (ms): its state after the last round, and its quote in it."""
    assessed = {quote.source: quote for quote in update.quotes}
    passed = max(now - update.stages.concluded, 0) / 1000 if update.stages.concluded else 0
    return [_source_view(state, assessed.get(state.name), latest, now, passed) for state in update.sources]


def _source_view(
    state: SourceState, assessed: AssessedQuote | None, latest: Tick | None, now: int, passed: float
) -> SourceView:
    quote = state.quote
    price = assessed.price if assessed else None
    return SourceView(
        name=state.name,
        kind=state.kind,
        state=_state_of(state, assessed),
        price=price,
        last=quote.last if quote else None,
        bid=quote.bid if quote else None,
        ask=quote.ask if quote else None,
        time_ms=quote.time if quote else None,
        age=age(quote.time, state.received_at, now) / 1000 if quote else None,
        deviation_bp=_deviation(price, latest),
        latency_ms=state.latency and round(state.latency, 1),
        used=assessed.used if assessed else False,
        reason=assessed.reason if assessed else None,
        next_try_s=round(max(state.next_try - passed, 0), 1),
        error=state.error,
    )


def _state_of(state: SourceState, quote: AssessedQuote | None) -> str:
    """One of STATES: the state of the source itself, unless it answers and the price rule excludes it."""
    is_excluded = quote is not None and quote.state in EXCLUSIONS
    return QuoteState.EXCLUDED if is_excluded and state.state is State.OK else state.state


def _deviation(price: Decimal | None, latest: Tick | None) -> float | None:
    """The deviation of a source's price from the published one, in basis points."""
    if price is None or latest is None:
        return None
    return round(float((price / latest.price - 1) * BASIS_POINTS), 1)
