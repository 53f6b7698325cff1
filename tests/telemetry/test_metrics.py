"""The table of metrics, and what a collection of them contains."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from btc_price_tracker.meters import Distribution, trace_id_of
from btc_price_tracker.telemetry.metrics import METRICS, Kind, Metric, Metrics

READ = [metric for metric in METRICS if metric.kind is not Kind.HISTOGRAM]
UNITS = ("_seconds", "_bytes", "_usd", "_total", "_info")


def test_names_are_unique_and_have_one_prefix() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("btc_") for name in names)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_durations_are_in_seconds_and_help_is_a_sentence(metric: Metric) -> None:
    assert not metric.name.endswith(("_total", "_info", "_count", "_sum", "_ms", "_milliseconds"))
    assert metric.kind is not Kind.HISTOGRAM or metric.name.endswith(UNITS)
    assert metric.help[0].isupper() or metric.help[0].isdigit()
    assert metric.help.endswith(".")


def test_every_metric_needs_a_reader() -> None:
    missing = {metric.name: lambda: 1.0 for metric in READ[1:]}
    with pytest.raises(ValueError, match="btc_build"):
        Metrics().read_from(missing)
    with pytest.raises(ValueError, match="btc_unknown"):
        Metrics().read_from({"btc_build": lambda: 1.0, "btc_unknown": lambda: 1.0, **missing})


@pytest.mark.parametrize("as_openmetrics", [False, True])
def test_observed_durations_are_rendered_by_operation_and_outcome(*, as_openmetrics: bool) -> None:
    metrics = Metrics()
    observe = metrics.observer("btc_store_operation_seconds")
    observe("append", 0.002, True)
    observe("append", 3.0, False)
    text = metrics.render(as_openmetrics=as_openmetrics)[0].decode()
    samples = {
        (sample.name, sample.labels["outcome"], sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(text.removesuffix("# EOF\n"))
        for sample in family.samples
        if sample.labels.get("operation") == "append"
    }
    assert samples["btc_store_operation_seconds_count", "ok", ""] == 1
    assert samples["btc_store_operation_seconds_sum", "error", ""] == 3
    assert samples["btc_store_operation_seconds_bucket", "ok", "0.001"] == 0
    assert samples["btc_store_operation_seconds_bucket", "ok", "0.0025"] == 1
    assert "_created" not in text


def test_histogram_is_cumulative_and_has_exemplars_in_openmetrics() -> None:
    distribution = Distribution((0.1, 1.0))
    for value in 0.05, 0.1, 0.5, 7.0:
        distribution.observe(value)
    distribution.observe(0.7, trace_id_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    metrics = Metrics()
    metrics.read_from(
        {
            **{metric.name: lambda: None for metric in METRICS},
            "btc_round_seconds": lambda: distribution,
            "btc_http_request_seconds": lambda: {("/",): distribution},
        }
    )
    plain, rich = (metrics.render(as_openmetrics=each)[0].decode() for each in (False, True))
    lines = [line for line in plain.splitlines() if line.startswith("btc_round_seconds")]
    assert lines == [
        'btc_round_seconds_bucket{le="0.1"} 2.0',
        'btc_round_seconds_bucket{le="1.0"} 4.0',
        'btc_round_seconds_bucket{le="+Inf"} 5.0',
        "btc_round_seconds_count 5.0",
        "btc_round_seconds_sum 8.35",
    ]
    exemplar = '# {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.7'
    assert f'btc_round_seconds_bucket{{le="1.0"}} 4.0 {exemplar}' in rich
    assert f'btc_http_request_seconds_bucket{{route="/",le="1.0"}} 4.0 {exemplar}' in rich.replace(
        'le="1.0",route="/"', 'route="/",le="1.0"'
    )


@pytest.mark.parametrize("traceparent", [None, "", "x", "00-abc"])
def test_no_trace_has_no_id(traceparent: str | None) -> None:
    assert trace_id_of(traceparent) is None
