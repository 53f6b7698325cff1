"""`serve`: the server, until a signal stops it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog
import uvloop

from btc_price_tracker import app
from btc_price_tracker.cli.startup import load_settings
from btc_price_tracker.settings import Settings

log = structlog.get_logger(__name__)


def run(flags: Mapping[str, str]) -> int:
    """Serve as the settings say, until a signal."""
    return run_until_stopped(flags, app.run)


def run_until_stopped(
    flags: Mapping[str, str | None], service: Callable[[Settings], Coroutine[Any, Any, None]]
) -> int:
    """Run a service on uvloop; the exit code is 1 where a part of it failed."""
    settings = load_settings(flags)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(service(settings))
        except ExceptionGroup:
            log.exception("a part of the server failed, so it ends")
            return 1
    return 0
