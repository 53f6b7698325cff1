"""`demo`: the same server over the same HTTP path, polling recorded exchanges on loopback."""

import os
from collections.abc import Mapping

import structlog

from btc_price_tracker import app
from btc_price_tracker.cli.flags import DEMO
from btc_price_tracker.cli.serve import run_until_stopped
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.playback import ORIGIN, Playback, Recording, packaged
from btc_price_tracker.settings import Settings
from btc_price_tracker.sources import SOURCES

log = structlog.get_logger(__name__)


def run(flags: dict[str, str]) -> int:
    """Serve recorded prices, `--speed` times as fast as they were; returns the exit code."""
    speed = float(flags.pop("speed"))
    settings, ignored = demo_settings(flags, os.environ)
    return run_until_stopped(settings, lambda settings: _serve(settings, speed, ignored))


def demo_settings(
    flags: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[dict[str, str | None], list[str]]:
    """The flags over the demo's own settings, and the names of the environment variables that are ignored."""
    urls = {f"{name}_url": source.url for name, source in SOURCES.items()}
    # The quota of an API key is for the real CoinGecko.
    defaults: dict[str, str | None] = {**DEMO, **urls, "coingecko_api_key": None, "broker_url": None}
    if environment.get("INTERVAL"):
        del defaults["interval"]
    overridden = [field.upper() for field in defaults if field not in flags]
    names = [variable for name in overridden for variable in (name, f"{name}_FILE")]
    return {**defaults, **flags}, [name for name in names if environment.get(name)]


async def _serve(settings: Settings, speed: float, ignored: list[str]) -> None:
    """Play back a recorded day and serve from it; `ignored` as `demo_settings` returns it."""
    clock = SystemClock()
    async with Playback(Recording(packaged(), clock.now(), speed), clock) as playback:
        log.info(
            "serving recorded prices, not live ones",
            origin=ORIGIN,
            speed=speed,
            playback=playback.url("").rstrip("/"),
        )
        if ignored:
            log.warning(
                "environment variables ignored",
                names=", ".join(ignored),
                reason="the demo polls recorded sources and keeps their prices apart from real ones",
                remedy="set --sources and --store-url for the demo",
            )
        await app.run(settings.model_copy(update=playback.urls()), ORIGIN)
