"""The spans of broadcasts, with a tracer that only remembers."""

import asyncio
from dataclasses import dataclass, field

from btc_price_tracker.fanout import spans
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.fanout.spans import BroadcastSpans
from btc_price_tracker.price.model import Status, Tick, Update
from btc_price_tracker.telemetry.tracing import Attributes
from btc_price_tracker.testing import ManualClock
from fanout.recorder import Recorder
from live import a_tick


@dataclass
class Span:
    name: str
    parent: str
    attributes: dict[str, object]
    ended: bool = False

    def set(self, attributes: Attributes) -> None:
        self.attributes |= attributes

    def end(self) -> None:
        self.ended = True


@dataclass
class Tracer:
    spans: list[Span] = field(default_factory=list)

    def begin(self, name: str, _: object, attributes: Attributes, *, parent: str) -> Span:
        self.spans.append(Span(name, parent, dict(attributes)))
        return self.spans[-1]


def a_hub(tracer: Tracer, slice_: int = 1000) -> Hub:
    hub = Hub(Ring(10), ManualClock(), 15, limits=HubLimits(slice=slice_))
    hub.spans = BroadcastSpans(tracer)  # type: ignore[arg-type] # it only begins spans
    return hub


def an_update(tick: Tick | None, trace: str | None) -> Update:
    return Update(Status.OK, "3 exchanges agree.", tick, trace=trace)


async def test_span_lasts_until_the_last_stream_and_a_later_update_waits_for_its_own_round() -> None:
    tracer = Tracer()
    hub = a_hub(tracer, slice_=1)
    for _ in range(3):
        hub.join(Recorder(), 0)
    hub.publish(an_update(a_tick(1), "first"))
    hub.publish(an_update(a_tick(2), "second"))
    ended = [[span.ended for span in tracer.spans]]
    for _ in range(20):
        await asyncio.sleep(0)
        ended.append([span.ended for span in tracer.spans])
    assert [ended[0], ended[-1]] == [[False, False], [True, True]]
    assert [True, False] in ended
    assert [span.parent for span in tracer.spans] == ["first", "second"]
    assert tracer.spans[0].attributes == {"btc.status": "ok", "btc.tick.id": 1, "btc.streams": 3}


def test_update_without_tick_or_without_trace() -> None:
    tracer = Tracer()
    hub = a_hub(tracer)
    hub.publish(an_update(None, "a"))
    hub.publish(an_update(a_tick(1), None))
    (span,) = tracer.spans
    assert (span.ended, span.attributes) == (True, {"btc.status": "ok", "btc.streams": 0})


def test_traces_of_recent_ticks_are_remembered() -> None:
    hub = a_hub(Tracer())
    for tick_id in range(1, spans.REMEMBERED + 2):
        hub.publish(an_update(a_tick(tick_id), f"trace of {tick_id}"))
    assert hub.spans.trace_of(1) is None
    assert hub.spans.trace_of(2) == "trace of 2"


def test_without_tracer_the_traces_of_others_are_ignored() -> None:
    hub = Hub(Ring(10), ManualClock(), 15)
    hub.publish(an_update(a_tick(1), "a"))
    assert hub.spans.trace_of(1) is None
