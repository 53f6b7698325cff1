"""The table of metrics, and what a collection of them contains."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

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
