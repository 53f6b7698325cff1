"""Structured logs on stderr, the libraries' included: readable text on a terminal, JSON elsewhere."""

import logging
import os
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from io import StringIO
from typing import Any, TextIO

import structlog

from btc_price_tracker.printable import printable
from btc_price_tracker.telemetry.levels import apply, parse
from btc_price_tracker.telemetry.writer import Writer

REQUEST_ID: ContextVar[str] = ContextVar("request_id")  # of the current request
TRACE_ID: ContextVar[str] = ContextVar("trace_id")  # of the current trace, where tracing is on


def configure(level: str, form: str) -> None:
    """Set up logging for the process. `level` as in LOG_LEVEL, `form` as in LOG_FORMAT. Raises ValueError."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.contextvars.merge_contextvars,  # stream_id, round_id, tick_id
        _add_request_id,
        _add_trace_id,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
    ]
    last: list[Any] = (
        # A plain traceback: the default shows local variables, of which one may be a password.
        [
            _printable_values,
            structlog.dev.ConsoleRenderer(colors=_use_colours(), exception_formatter=_traceback),
        ]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = Writer()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[handler], force=True)
    apply(parse(level))


def _use_colours() -> bool:
    """Whether stderr is a terminal that supports colours, and NO_COLOR isn't set (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _printable_values(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape what a terminal would obey, in texts of clients, sources and libraries; JSON escapes it anyway."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}


def _traceback(to: TextIO, exc_info: Any) -> None:
    """Write a traceback, whose last line may quote such a text."""
    text = StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    to.write("\n".join(map(printable, text.getvalue().split("\n"))))


def _add_request_id(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the id of the current request to a line that has none."""
    request_id = REQUEST_ID.get(None)
    if request_id is not None and "request_id" not in event:
        event["request_id"] = request_id
    return event


def _add_trace_id(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the id of the current trace to a line."""
    trace_id = TRACE_ID.get(None)
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event
