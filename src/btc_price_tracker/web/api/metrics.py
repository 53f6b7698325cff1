"""What Prometheus can ask for, each metric named and described once.

Nothing is counted here: the parts keep plain integers, so that counting costs the fan-out nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from secrets import compare_digest

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily as Counter
from prometheus_client.metrics_core import GaugeMetricFamily as Gauge
from prometheus_client.metrics_core import InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from btc_price_tracker import __version__
from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.model import Status
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.web.accept import accepted
from btc_price_tracker.web.admission import StreamLimit
from btc_price_tracker.web.api.history import Gates
from btc_price_tracker.web.api.openapi import STATE
from btc_price_tracker.web.api.reply import get
from btc_price_tracker.web.api.views import STATES, source_views
from btc_price_tracker.web.problems import Problem


@dataclass(frozen=True, slots=True, eq=False)
class Metrics(Collector):
    """The metrics of one instance, read from its parts whenever they are asked for."""

    hub: Hub
    admission: StreamLimit
    gates: Gates
    outbox: Outbox
    watchdog: Watchdog
    clock: Clock
    recorded: bool  # whether the prices are played back

    def render(self, accept: str) -> tuple[bytes, str]:
        """Everything as of now and its content type: OpenMetrics 1.0.0 where it is preferred, else Prometheus text."""
        registry = CollectorRegistry()
        registry.register(self)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        if _prefers_openmetrics(accept):
            return openmetrics.generate_latest(registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call] # as it comes
        return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4

    def collect(self) -> Iterable[Metric]:
        """Read the parts."""
        about = {"version": __version__, "recorded": str(self.recorded).lower()}
        yield InfoMetricFamily("btc_price_tracker", "What runs here.", about)
        yield from self._price()
        yield from self._streams()
        yield from self._sources()
        yield from self._store()
        yield from self._load()

    def _price(self) -> Iterator[Metric]:
        hub = self.hub
        latest = hub.latest
        if latest is not None:
            yield Gauge("btc_price_dollars", "The last price published.", float(latest.price))
            yield Gauge(
                "btc_price_spread_dollars", "Half-width of its sources' agreement.", float(latest.spread)
            )
            yield Gauge("btc_price_sources", "Sources that it was computed from.", latest.sources)
            yield Gauge(
                "btc_price_age_seconds", "Age of the newest quote that it rests on.", latest.quote_age / 1000
            )
        status = {each: each is hub.status for each in Status}
        yield _gauges("btc_price_status", "1 for the status that the price has.", status, "status")
        yield Counter("btc_prices_published", "Prices published since the start.", hub.published)

    def _streams(self) -> Iterator[Metric]:
        hub = self.hub
        yield Gauge("btc_streams", "Open streams.", len(hub))
        yield Gauge(
            "btc_streams_lagging", "Of these, the ones that wait for room in the kernel.", hub.lagging
        )
        yield Counter("btc_streams_joined", "Streams opened since the start.", hub.joined)
        yield Counter(
            "btc_streams_stalled", "Streams closed because they took nothing for 30 s.", hub.stalled
        )
        yield Counter("btc_streams_failed", "Streams closed because of a bug; see the log.", hub.failed)
        yield Counter("btc_streams_refused", "Clients told to come back later.", self.admission.refused)
        yield Counter("btc_stream_writes", "Broadcasts, times the streams of each.", hub.writes)

    def _sources(self) -> Iterator[Metric]:
        states = self.hub.update.sources
        views = source_views(self.hub.update, self.hub.latest, self.clock.now())
        family = Gauge(
            "btc_source_state",
            "1 for the state that a source is in; /sources says why.",
            labels=["source", "state"],
        )
        for view in views:
            for state in STATES:
                family.add_metric([view.name, state], state == view.state)
        yield family
        used = {view.name: view.used for view in views}
        yield _gauges("btc_source_used", "1 if it had a part in the last price.", used)
        latency = {state.name: state.latency / 1000 for state in states if state.latency is not None}
        yield _gauges("btc_source_latency_seconds", "Duration of its last good answer.", latency)
        calls = {state.name: state.calls for state in states}
        yield _counters("btc_source_calls", "Requests sent to it.", calls)
        failures = {state.name: state.failures for state in states}
        yield _counters("btc_source_failures", "Of these, the ones that brought no quote.", failures)

    def _store(self) -> Iterator[Metric]:
        outbox = self.outbox
        yield Gauge("btc_store_up", "1 while the store takes prices.", outbox.fault is None)
        yield Gauge("btc_store_waiting", "Prices that wait for the store.", len(outbox))
        yield Counter("btc_store_lost", "Prices that overflowed while the store failed.", outbox.lost)

    def _load(self) -> Iterator[Metric]:
        waiting = sum(gate.waiting for gate in self.gates)
        yield Gauge("btc_history_waiting", "History requests that wait for the store.", waiting)
        refused = sum(gate.refused for gate in self.gates)
        yield Counter("btc_history_refused", "History requests refused because the queue was full.", refused)
        yield Gauge(
            "btc_event_loop_lag_seconds",
            "Longest delay of the event loop in the last minute.",
            self.watchdog.lag,
        )
        yield Counter(
            "btc_event_loop_stalls", "Times the event loop was stuck for 9 s or more.", self.watchdog.stalls
        )


def install(app: FastAPI, numbers: Metrics, token: str | None) -> None:
    """Serve `/metrics`; with a token, only to who bears it."""

    @get(
        app,
        "/metrics",
        tags=[STATE],
        responses={401: {"description": "`METRICS_TOKEN` is set, and you don't bear it."}},
    )
    async def metrics(request: Request) -> Response:
        """What Prometheus wants to know, in its text format."""
        if token is not None and not _bears(request, token):
            raise Problem(
                401, "/metrics wants METRICS_TOKEN as a bearer token.", {"WWW-Authenticate": "Bearer"}
            )
        content, content_type = numbers.render(request.headers.get("accept", ""))
        return Response(content, headers={"Cache-Control": "no-store"}, media_type=content_type)


def _prefers_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics is accepted, in the version there is, and no less than Prometheus text.

    prometheus_client's own negotiation fails on versions that are quoted or unknown, and takes no notice of quality.
    """
    open_metrics = plain = 0.0
    for item in accepted(accept):
        if item.value == "text/plain":
            plain = max(plain, item.quality)
        elif item.value == "application/openmetrics-text" and item.parameters.get("version") in (
            None,
            "1.0.0",
        ):
            open_metrics = max(open_metrics, item.quality)
    return open_metrics > 0 and open_metrics >= plain


def _bears(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(given.strip().encode(), token.encode())


def _gauges(
    name: str, meaning: str, values: Mapping[str, float] | Mapping[Status, bool], label: str = "source"
) -> Metric:
    family = Gauge(name, meaning, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _counters(name: str, meaning: str, values: Mapping[str, int]) -> Metric:
    family = Counter(name, meaning, labels=["source"])
    for source, value in values.items():
        family.add_metric([source], value)
    return family
