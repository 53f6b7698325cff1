"""`demo`: the same server and the same HTTP path, against recorded real exchanges on loopback."""

import structlog

from btc_price_tracker.app import run as run_service
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.playback import ORIGIN, Playback, Recording, packaged
from btc_price_tracker.settings import Settings

log = structlog.get_logger(__name__)


async def run(settings: Settings, speed: float) -> None:
    """Play back a day, `speed` times as fast as it was, and serve from it."""
    clock = SystemClock()
    async with Playback(Recording(packaged(), clock.now(), speed), clock) as playback:
        log.info(
            "prices are recorded, not live", origin=ORIGIN, speed=speed, playback=playback.url("").rstrip("/")
        )
        unmetered = {**playback.urls(), "coingecko_api_key": None}  # a key's quota is for the real one
        await run_service(settings.model_copy(update=unmetered), ORIGIN)
