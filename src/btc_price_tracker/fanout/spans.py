"""The spans of broadcasts: each from an update's arrival in the hub until every socket has been written to."""

from btc_price_tracker.price.model import Update
from btc_price_tracker.telemetry.tracing import NO_TRACER, Span, SpanKind, Tracer

REMEMBERED = 1000  # ticks whose trace is known, for the streams that resume there


class BroadcastSpans:
    """Makes a span for each update that comes with a trace; with NO_TRACER it does nothing."""

    def __init__(self, tracer: Tracer = NO_TRACER) -> None:
        self._tracer = tracer
        self._is_on = tracer is not NO_TRACER
        self._waiting: list[Span] = []  # for the next round
        self._written: list[Span] = []  # in the round that is being written
        self._traces: dict[int, str] = {}  # by tick id, oldest first

    def arrived(self, update: Update) -> None:
        """Begin the span of an update."""
        if not self._is_on or update.trace is None:
            return
        attributes: dict[str, str | int] = {"btc.status": str(update.status)}
        if update.tick is not None:
            attributes["btc.tick.id"] = update.tick.id
            self._remember(update.tick.id, update.trace)
        self._waiting.append(
            self._tracer.begin("broadcast", SpanKind.CONSUMER, attributes, parent=update.trace)
        )

    def round_began(self) -> None:
        """Note that every update that has arrived is being written."""
        self._written, self._waiting = self._waiting, []

    def round_ended(self, streams: int) -> None:
        """End the spans of the updates that were written to so many streams."""
        for span in self._written:
            span.set({"btc.streams": streams})
            span.end()
        self._written = []

    def trace_of(self, tick_id: int) -> str | None:
        """The traceparent of the round that published a recent tick, if that was traced."""
        return self._traces.get(tick_id)

    def _remember(self, tick_id: int, trace: str) -> None:
        self._traces[tick_id] = trace
        if len(self._traces) > REMEMBERED:
            del self._traces[next(iter(self._traces))]
