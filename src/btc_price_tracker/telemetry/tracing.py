"""Spans of rounds and requests, behind a protocol that needs no library: `telemetry/otel.py` implements it.

Without configuration every tracer is `NO_TRACER`, whose spans are one object that does nothing.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

Attributes = Mapping[str, str | int | float | bool]  # names by the OpenTelemetry conventions, or `btc.…`
NO_ATTRIBUTES: Attributes = {}


class SpanKind(StrEnum):
    """The role of this process in an operation, as OpenTelemetry names it."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """One operation of a trace."""

    @property
    def traceparent(self) -> str | None:
        """What makes another span its child: a W3C traceparent; None where nothing is traced."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes; ignored once it has ended."""

    def link(self, traceparent: str) -> None:
        """Link it to a span of another trace that led to it; ignored if that is invalid, or once it has ended."""

    def fail(self, error: str, reason: str = "") -> None:
        """Mark it as failed. `error` is the attribute `error.type`: a status code or the name of an exception."""

    def end(self) -> None:
        """End it now. Idempotent."""


class Tracer(Protocol):
    """Makes spans."""

    def span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = NO_ATTRIBUTES,
        parent: str | None = None,
    ) -> AbstractContextManager[Span]:
        """Return a span for a block, of which spans begun inside are children; an exception marks it as failed.

        Its parent is the one that the traceparent `parent` names if that is valid, else that of the block around it.
        """

    def begin(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = NO_ATTRIBUTES,
        *,
        parent: str,
    ) -> Span:
        """Begin a span that the caller ends."""

    async def aclose(self) -> None:
        """Export what has ended, within a few seconds."""


class _NoSpan(AbstractContextManager["_NoSpan"]):
    """Does nothing."""

    traceparent = None

    def __exit__(self, *_: object) -> None:
        pass

    def set(self, attributes: Attributes) -> None:
        pass

    def link(self, traceparent: str) -> None:
        pass

    def fail(self, error: str, reason: str = "") -> None:
        pass

    def end(self) -> None:
        pass


class _NoTracer:
    """Makes no spans."""

    def span(self, *_: object, **__: object) -> _NoSpan:
        return NO_SPAN

    def begin(self, *_: object, **__: object) -> _NoSpan:
        return NO_SPAN

    async def aclose(self) -> None:
        pass


NO_SPAN = _NoSpan()
NO_TRACER = _NoTracer()
