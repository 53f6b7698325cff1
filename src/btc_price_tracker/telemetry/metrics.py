"""Collects and renders the metrics of an instance, which `telemetry/table.py` names and describes.

They are read when they are collected: the parts of the service keep plain integers (meters.py), so counting costs the
fan-out next to nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from btc_price_tracker.meters import Distribution
from btc_price_tracker.telemetry.table import METRICS, Kind, Metric

__all__ = ["METRICS", "Kind", "Metric", "Metrics", "Observe", "Reader", "Readers", "Reading"]

Labels = tuple[str, ...]
Value = float | Distribution
Reading = Value | Mapping[Labels, Value]  # by the values of the labels, if there are any
Reader = Callable[[], Reading | None]  # None: nothing to report yet
Readers = Mapping[str, Reader]  # by name of the metric
Observe = Callable[[str, float, bool], None]  # operation, seconds, whether it succeeded


class Metrics(Collector):
    """Collects the metrics of one instance from its readers."""

    def __init__(self) -> None:
        """Collect what is observed only, until `read_from` is called."""
        self._readers: Readers = {}
        self._observed: dict[str, dict[Labels, Distribution]] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def read_from(self, readers: Readers) -> None:
        """Read each metric that has no observer from its reader. Raises ValueError if one is missing or unknown."""
        expected = {metric.name for metric in METRICS} - set(self._observed)
        if different := expected ^ set(readers):
            raise ValueError(f"metrics without reader, or readers without metric: {sorted(different)}")
        self._readers = readers

    def observer(self, name: str) -> Observe:
        """Return a function that records the duration and outcome of an operation in the histogram `name`."""
        observed = self._observed.setdefault(name, {})

        def observe(operation: str, seconds: float, succeeded: bool) -> None:  # noqa: FBT001 - one callback for all
            labels = (operation, "ok" if succeeded else "error")
            observed.setdefault(labels, Distribution()).observe(seconds)

        return observe

    def render(self, *, as_openmetrics: bool) -> tuple[bytes, str]:
        """Return every metric and the content type: OpenMetrics 1.0.0 or the text format of Prometheus."""
        if as_openmetrics:
            return openmetrics.generate_latest(self._registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call] # untyped upstream
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4

    def collect(self) -> Iterator[Family]:
        """Yield the metrics in the order of the table."""
        for metric in METRICS:
            reading = self._read(metric.name)
            if reading is not None:
                yield _family(metric, reading)

    def _read(self, name: str) -> Reading | None:
        if name in self._observed:
            return self._observed[name]
        return self._readers[name]() if name in self._readers else None


def _family(metric: Metric, reading: Reading) -> Family:
    values = reading if isinstance(reading, Mapping) else {(): reading}
    if metric.kind is Kind.INFO:
        (labels,) = values
        return InfoMetricFamily(metric.name, metric.help, dict(zip(metric.labels, labels, strict=True)))
    family = _FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        if isinstance(value, Distribution):
            family.add_metric(labels, _buckets(value), value.total)
        else:
            family.add_metric(labels, value)
    return family  # type: ignore[no-any-return] # each has an `add_metric` of its own


_FAMILIES: dict[Kind, Callable[..., Any]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


def _buckets(distribution: Distribution) -> list[tuple[str, float, Exemplar | None]]:
    """The cumulative buckets of a distribution; exemplars appear in OpenMetrics only."""
    bounds = [floatToGoString(bound) for bound in (*distribution.bounds, float("inf"))]  # type: ignore[no-untyped-call] # untyped upstream
    exemplars = {
        index: Exemplar({"trace_id": each.trace_id}, each.value)
        for index, each in distribution.exemplars.items()
    }
    counts = accumulate(distribution.counts)
    return [
        (bound, count, exemplars.get(index))
        for index, (bound, count) in enumerate(zip(bounds, counts, strict=True))
    ]
