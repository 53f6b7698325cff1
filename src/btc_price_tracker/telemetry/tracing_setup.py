"""Whether the environment turns tracing on, by the standard variables of OpenTelemetry.

The library is imported only then. A setting that can't be honoured is logged and turns tracing off, since platforms set
these variables for every program that they run, and the price matters more than its traces.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import NamedTuple

import structlog

from btc_price_tracker.telemetry.tracing import NO_TRACER, Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTER = "OTEL_TRACES_EXPORTER"
PROTOCOL = "http/protobuf"

log = structlog.get_logger(__name__)


class Obstacle(NamedTuple):
    """Why traces that are asked for can't be exported, and what to do."""

    reason: str
    remedy: str


def open_tracer(environment: Mapping[str, str], instance: str) -> Tracer:
    """Make the tracer of an instance; NO_TRACER unless the environment asks for traces that can be exported."""
    if not is_wanted(environment):
        return NO_TRACER
    obstacle = _obstacle(environment)
    if obstacle is None:
        try:
            otel = import_module("btc_price_tracker.telemetry.otel")
        except ImportError as error:
            obstacle = Obstacle(f"a package is missing ({error.name})", ".venv/bin/pip install -e '.[otel]'")
        else:
            tracer: Tracer = otel.open_tracer(instance)
            return tracer
    log.warning("tracing is off", reason=obstacle.reason, remedy=obstacle.remedy)
    return NO_TRACER


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the environment names an endpoint or an exporter for traces, and doesn't turn them off."""
    is_disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = _exporter(environment)
    return not is_disabled and exporter != "none" and bool(exporter or _first(environment, _ENDPOINTS))


def _obstacle(environment: Mapping[str, str]) -> Obstacle | None:
    exporter, protocol = _exporter(environment), _first(environment, _PROTOCOLS)
    if exporter not in ("", "otlp"):
        return Obstacle(f"{_EXPORTER} {exporter!r} is not supported", f"set {_EXPORTER} to otlp or none")
    if protocol not in ("", PROTOCOL):
        return Obstacle(
            f"the protocol {protocol!r} is not supported",
            f"set {_PROTOCOLS[1]} to {PROTOCOL}, and the endpoint's port, which is 4318 in most collectors",
        )
    return None


def _exporter(environment: Mapping[str, str]) -> str:
    return environment.get(_EXPORTER, "").strip().lower()


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The value of the first of these variables that is set; "" if none is."""
    return next(filter(None, (environment.get(name, "").strip() for name in names)), "")
