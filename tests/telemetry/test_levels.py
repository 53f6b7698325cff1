"""Levels per logger, and changing them with signals."""

import json
import signal
import subprocess
import sys

import pytest

from btc_price_tracker.telemetry.levels import parse


def test_levels_are_read() -> None:
    assert parse("Info") == {"": "info"}
    assert parse("info, btc_price_tracker.sources=DEBUG,aiohttp=error") == {
        "": "info",
        "btc_price_tracker.sources": "debug",
        "aiohttp": "error",
    }


@pytest.mark.parametrize("text", ["", "loud", "info,debug", "info,x=loud", "x=debug", "info,"])
def test_anything_else_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="give debug, info, warning or error"):
        parse(text)


LOGGERS = ("btc_price_tracker", "btc_price_tracker.sources.x", "aiohttp.client", "uvicorn.error")
SCRIPT = f"""
import logging, sys
import structlog
from btc_price_tracker.telemetry import levels, logs

def lines(when):
    for logger in {LOGGERS}:
        for level in ("debug", "info", "warning", "error"):
            getattr(structlog.get_logger(logger), level)(when)

logs.configure(sys.argv[1], "json")
lines("start")
levels.shift(-1)
lines("more")
for _ in range(9):
    levels.shift(1)
lines("least")
"""


def lowest(level: str) -> dict[str, list[str]]:
    """The lowest level that each of LOGGERS wrote at each stage."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, level], capture_output=True, text=True, timeout=120, check=True
    )
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    return {
        stage: [
            next(line["level"] for line in lines if (line["event"], line["logger"]) == (stage, logger))
            for logger in LOGGERS
        ]
        for stage in ("start", "more", "least")
    }


def test_libraries_never_log_at_debug_unless_told() -> None:
    assert lowest("info") == {
        "start": ["info", "info", "info", "warning"],
        "more": ["debug", "debug", "info", "warning"],
        "least": ["error", "error", "error", "error"],
    }


def test_single_loggers_keep_their_levels() -> None:
    assert lowest("error,btc_price_tracker.sources=debug,aiohttp=debug") == {
        "start": ["error", "debug", "debug", "error"],
        "more": ["warning", "debug", "debug", "warning"],
        "least": ["error", "debug", "debug", "error"],
    }


SIGNALLED = """
import os, signal
from btc_price_tracker.cli import serve
from btc_price_tracker.telemetry import logs

async def service(settings):
    import asyncio
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR2):
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)

serve.run_until_stopped({"log_format": "json", "store_url": "memory://"}, service)
"""


def test_signals_change_the_level() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=120, check=True
    )
    changes = [json.loads(line)["log_level"] for line in result.stderr.splitlines()]
    assert changes == ["debug", "info", "warning"]
    assert signal.SIGUSR1 in signal.valid_signals()
