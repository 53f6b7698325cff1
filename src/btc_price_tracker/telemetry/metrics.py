"""The metrics of an instance: one table that names and describes each, and what collects and renders them.

Most of them are read when they are collected: the parts of the service keep plain integers, so counting costs the
fan-out nothing. Durations are observed as they occur.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector


class Kind(StrEnum):
    """The type of a metric, as Prometheus names it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table. `name` is without the suffix that a format appends, such as `_total`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> str:
        """The name to query it by."""
        return self.name + {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(self.kind, "")


SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

METRICS = (
    Metric("btc_build", Kind.INFO, "Version, and whether the prices are recorded.", ("version", "recorded")),
    # The price
    Metric("btc_price_usd", Kind.GAUGE, "Last published price."),
    Metric("btc_price_spread_usd", Kind.GAUGE, "Half-width of the interval of the last price."),
    Metric("btc_price_sources", Kind.GAUGE, "Number of sources used for the last price."),
    Metric("btc_price_age_seconds", Kind.GAUGE, "Age of the newest quote used for the last price."),
    Metric("btc_price_status", Kind.GAUGE, "1 for the current status.", ("status",)),
    Metric("btc_prices_published", Kind.COUNTER, "Prices published."),
    # The streams
    Metric("btc_streams_open", Kind.GAUGE, "Open streams."),
    Metric("btc_streams_lagging", Kind.GAUGE, "Open streams whose socket buffer is full."),
    Metric("btc_streams_opened", Kind.COUNTER, "Streams opened."),
    Metric("btc_streams_closed", Kind.COUNTER, "Streams closed by the server, by reason.", ("reason",)),
    Metric("btc_streams_rejected", Kind.COUNTER, "Streams rejected at the limit of MAX_CLIENTS."),
    Metric("btc_stream_events_sent", Kind.COUNTER, "Events sent, summed over all streams."),
    # The sources
    Metric("btc_source_state", Kind.GAUGE, "1 for the current state of a source.", ("source", "state")),
    Metric("btc_source_used", Kind.GAUGE, "1 if the source was used for the last price.", ("source",)),
    Metric("btc_source_latency_seconds", Kind.GAUGE, "Duration of the last successful request.", ("source",)),
    Metric("btc_source_requests", Kind.COUNTER, "Requests sent to a source.", ("source",)),
    Metric("btc_source_request_failures", Kind.COUNTER, "Requests that returned no quote.", ("source",)),
    # The store and the broker
    Metric("btc_store_up", Kind.GAUGE, "1 while the store accepts prices."),
    Metric("btc_store_queued", Kind.GAUGE, "Prices queued until the store recovers."),
    Metric("btc_store_dropped", Kind.COUNTER, "Prices dropped because the queue was full."),
    Metric(
        "btc_store_operation_seconds",
        Kind.HISTOGRAM,
        "Duration of an operation of the store.",
        ("operation", "outcome"),
        SECONDS,
    ),
    Metric(
        "btc_broker_operation_seconds",
        Kind.HISTOGRAM,
        "Duration of an operation of the broker.",
        ("operation", "outcome"),
        SECONDS,
    ),
    Metric("btc_broker_up", Kind.GAUGE, "1 while the broker carries updates; always 1 without BROKER_URL."),
    Metric("btc_leader", Kind.GAUGE, "1 on the instance that polls the sources for all."),
    Metric("btc_term", Kind.GAUGE, "Number of the term of the last round."),
    Metric("btc_history_queued", Kind.GAUGE, "History requests that wait for the store."),
    Metric("btc_history_rejected", Kind.COUNTER, "History requests rejected because the queue was full."),
    # The process
    Metric("btc_event_loop_lag_seconds", Kind.GAUGE, "Longest delay of the event loop in the last minute."),
    Metric("btc_event_loop_stalls", Kind.COUNTER, "Times the event loop was blocked for 9 s or longer."),
)

Labels = tuple[str, ...]
Reading = float | Mapping[Labels, float]  # by the values of the labels, if there are any
Readers = Mapping[str, Callable[[], Reading | None]]  # by name of the metric; None: nothing to report yet
Observe = Callable[[str, float, bool], None]  # operation, seconds, whether it succeeded


class Metrics(Collector):
    """Collects the metrics of one instance from its readers and histograms."""

    def __init__(self) -> None:
        """Collect histograms only, until `read_from` is called."""
        disable_created_metrics()  # type: ignore[no-untyped-call] # untyped upstream; they double the number of series
        self._readers: Readers = {}
        self._registry = CollectorRegistry()
        self._histograms = {
            metric.name: Histogram(
                metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=self._registry
            )
            for metric in METRICS
            if metric.kind is Kind.HISTOGRAM
        }
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def read_from(self, readers: Readers) -> None:
        """Read every metric that isn't a histogram from its reader. Raises ValueError if one is missing or unknown."""
        expected = {metric.name for metric in METRICS if metric.kind is not Kind.HISTOGRAM}
        if different := expected ^ set(readers):
            raise ValueError(f"metrics without reader, or readers without metric: {sorted(different)}")
        self._readers = readers

    def observer(self, name: str) -> Observe:
        """Return a function that records the duration and outcome of an operation in the histogram `name`."""
        histogram = self._histograms[name]

        def observe(operation: str, seconds: float, succeeded: bool) -> None:  # noqa: FBT001 - one callback for all
            histogram.labels(operation, "ok" if succeeded else "error").observe(seconds)

        return observe

    def render(self, *, as_openmetrics: bool) -> tuple[bytes, str]:
        """Return every metric and the content type: OpenMetrics 1.0.0 or the text format of Prometheus."""
        if as_openmetrics:
            return openmetrics.generate_latest(self._registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call] # untyped upstream
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def collect(self) -> Iterator[Family]:
        """Yield the metrics that are read, in the order of the table."""
        for metric in METRICS:
            if metric.name in self._readers:
                reading = self._readers[metric.name]()
                if reading is not None:
                    yield _family(metric, reading)


def _family(metric: Metric, reading: Reading) -> Family:
    values = reading if isinstance(reading, Mapping) else {(): reading}
    if metric.kind is Kind.INFO:
        (labels,) = values
        return InfoMetricFamily(metric.name, metric.help, dict(zip(metric.labels, labels, strict=True)))
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
