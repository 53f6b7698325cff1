"""`demo`: the same server and the same HTTP path, against recorded real exchanges on loopback."""

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
    """Serve recorded prices until a signal, `--speed` times as fast as they were."""
    speed = float(flags.pop("speed"))
    settings, ignored = own_settings(flags, os.environ)
    return run_until_stopped(settings, lambda settings: _serve(settings, speed, ignored))


def own_settings(
    flags: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[dict[str, str | None], list[str]]:
    """The flags with the demo's own settings below them, and the names in the environment that don't count."""
    urls = {f"{name}_url": source.url for name, source in SOURCES.items()}
    own: dict[str, str | None] = {
        **DEMO,
        **urls,
        "coingecko_api_key": None,
    }  # a key's quota is for the real one
    if environment.get("INTERVAL"):
        del own["interval"]
    names = [name for field in own if field not in flags for name in (field.upper(), f"{field.upper()}_FILE")]
    return {**own, **flags}, [name for name in names if environment.get(name)]


async def _serve(settings: Settings, speed: float, ignored: list[str]) -> None:
    """Play back a day, `speed` times as fast as it was, and serve from it; `ignored` as `own_settings` has it."""
    clock = SystemClock()
    async with Playback(Recording(packaged(), clock.now(), speed), clock) as playback:
        log.info(
            "prices are recorded, not live", origin=ORIGIN, speed=speed, playback=playback.url("").rstrip("/")
        )
        if ignored:
            log.warning(
                "settings of the environment ignored",
                names=", ".join(ignored),
                reason="the demo asks recorded sources and keeps their prices apart from real ones",
                remedy="--sources and --store-url are for the demo",
            )
        await app.run(settings.model_copy(update=playback.urls()), ORIGIN)
