"""`serve`: run the server until a signal stops it."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog
import uvloop

from btc_price_tracker import app
from btc_price_tracker.cli.startup import load_settings
from btc_price_tracker.settings import Settings
from btc_price_tracker.telemetry import levels

log = structlog.get_logger(__name__)


def run(flags: Mapping[str, str]) -> int:
    """Run the server; returns the exit code."""
    return run_until_stopped(flags, app.run)


def run_until_stopped(
    flags: Mapping[str, str | None], service: Callable[[Settings], Coroutine[Any, Any, None]]
) -> int:
    """Run a service on uvloop; returns 1 if a part of it failed."""
    settings = load_settings(flags)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().add_signal_handler(signal.SIGUSR1, levels.shift, -1)
        runner.get_loop().add_signal_handler(signal.SIGUSR2, levels.shift, 1)
        try:
            runner.run(service(settings))
        except ExceptionGroup:
            log.exception("server failed")
            return 1
    return 0
