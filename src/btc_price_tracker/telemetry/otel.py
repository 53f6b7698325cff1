"""The tracer on OpenTelemetry's SDK, which exports over OTLP. Import it only where traces are wanted: it takes time.

The provider is this tracer's own and not the global one: libraries that look for that must not add spans of their own.
The SDK reads its `OTEL_*` variables itself: endpoint, headers, timeout, sampler, batches, limits, resource.
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from btc_price_tracker import __version__
from btc_price_tracker.printable import printable
from btc_price_tracker.telemetry.logs import TRACE_ID
from btc_price_tracker.telemetry.tracing import NO_ATTRIBUTES, Attributes, SpanKind

SERVICE = "btc-price-tracker"  # unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has another name
CLOSE_TIMEOUT = 5.0  # seconds for the last export
REASON_LENGTH = 200  # characters of the description of a failure

_KINDS = {kind: trace.SpanKind[kind.name] for kind in SpanKind}
_PROPAGATOR = TraceContextTextMapPropagator()


class OtelSpan:
    """See Span."""

    def __init__(self, span: trace.Span) -> None:
        self.span = span

    @property
    def traceparent(self) -> str:
        """See Span."""
        context = self.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def set(self, attributes: Attributes) -> None:
        """See Span."""
        if self.span.is_recording():  # the SDK warns about spans that have ended
            self.span.set_attributes(attributes)

    def link(self, traceparent: str) -> None:
        """See Span."""
        context = _remote(traceparent)
        if context is not None and self.span.is_recording():
            self.span.add_link(context)

    def fail(self, error: str, reason: str = "") -> None:
        """See Span."""
        if self.span.is_recording():
            self.span.set_attribute("error.type", error)
            self.span.set_status(Status(StatusCode.ERROR, printable(reason)[:REASON_LENGTH] or None))

    def end(self) -> None:
        """See Span."""
        if self.span.is_recording():
            self.span.end()


class OtelTracer:
    """See Tracer."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("btc_price_tracker", __version__)

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = NO_ATTRIBUTES,
        parent: str | None = None,
    ) -> Iterator[OtelSpan]:
        """See Tracer."""
        span = OtelSpan(self._tracer.start_span(name, _context(parent), _KINDS[kind], attributes))
        trace_id = TRACE_ID.set(f"{span.span.get_span_context().trace_id:032x}")
        try:
            with trace.use_span(span.span, record_exception=False, set_status_on_exception=False):
                yield span
        except BaseException as error:
            span.fail(type(error).__name__, str(error))
            raise
        finally:
            TRACE_ID.reset(trace_id)
            span.end()

    def begin(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = NO_ATTRIBUTES,
        *,
        parent: str,
    ) -> OtelSpan:
        """See Tracer."""
        return OtelSpan(self._tracer.start_span(name, _context(parent), _KINDS[kind], attributes))

    async def aclose(self) -> None:
        """See Tracer. The thread of an export that takes longer is left behind."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()

        def close() -> None:
            self._provider.shutdown()
            if not loop.is_closed():
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=close, name="last export of traces", daemon=True).start()
        try:
            await asyncio.wait_for(closed.wait(), CLOSE_TIMEOUT)
        except TimeoutError:
            return


def open_tracer(instance: str) -> OtelTracer:
    """Make a tracer that exports as the environment says; `instance` is this instance's name."""
    provider = TracerProvider(resource=_resource(instance, os.environ), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OtelTracer(provider)


def _resource(instance: str, environment: Mapping[str, str]) -> Resource:
    """Describe this instance; what the environment says of it wins."""
    given = environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    names = {item.partition("=")[0].strip() for item in given.split(",")}
    if environment.get("OTEL_SERVICE_NAME"):
        names.add("service.name")
    own = {"service.name": SERVICE, "service.version": __version__, "service.instance.id": instance}
    return Resource.create({name: value for name, value in own.items() if name not in names})


def _remote(traceparent: str) -> SpanContext | None:
    """The span that a traceparent names; None if it is invalid."""
    context = _PROPAGATOR.extract({"traceparent": traceparent}, Context())
    span = trace.get_current_span(context)
    return span.get_span_context() if span.get_span_context().is_valid else None


def _context(parent: str | None) -> Context | None:
    """The context of a child of the span that a traceparent names; None, the current one, without a valid one."""
    remote = None if parent is None else _remote(parent)
    return None if remote is None else trace.set_span_in_context(NonRecordingSpan(remote), Context())
