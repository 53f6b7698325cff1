"""When the environment turns tracing on, and what happens where that can't be."""

import sys
from collections.abc import Mapping

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.telemetry.otel import OtelTracer
from btc_price_tracker.telemetry.tracing import NO_SPAN, NO_TRACER
from btc_price_tracker.telemetry.tracing_setup import is_wanted, open_tracer

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_SERVICE_NAME": "prices"}, False),
    ],
)
def test_endpoint_or_exporter_turns_tracing_on(environment: Mapping[str, str], *, wanted: bool) -> None:
    assert is_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER 'zipkin' is not supported"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "the protocol 'grpc' is not supported"),
    ],
)
def test_unsupported_setting_is_logged_and_turns_tracing_off(extra: Mapping[str, str], reason: str) -> None:
    with capture_logs() as lines:
        assert open_tracer({**ENDPOINT, **extra}, "a") is NO_TRACER
    (line,) = lines
    assert (line["event"], line["reason"]) == ("tracing is off", reason)
    assert line["remedy"]


def test_missing_extra_is_logged_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "btc_price_tracker.telemetry.otel")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with capture_logs() as lines:
        assert open_tracer(ENDPOINT, "a") is NO_TRACER
    assert lines[0]["remedy"] == ".venv/bin/pip install -e '.[otel]'"


async def test_supported_settings_open_a_tracer() -> None:
    tracer = open_tracer({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "a")
    assert isinstance(tracer, OtelTracer)
    await tracer.aclose()


async def test_without_a_tracer_spans_do_nothing() -> None:
    with NO_TRACER.span("tick") as span:
        span.set({"a": 1})
        span.link("b")
        span.fail("c")
        span.end()
        assert span.traceparent is None
    assert span is NO_SPAN is NO_TRACER.begin("broadcast")
    await NO_TRACER.aclose()
