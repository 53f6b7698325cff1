"""`demo`: the same server and the same HTTP path, against recorded real exchanges on loopback."""

from collections.abc import Mapping

import structlog

from btc_price_tracker.app import run as run_service
from btc_price_tracker.cli.flags import DEMO
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.playback import ORIGIN, Playback, Recording, packaged
from btc_price_tracker.settings import Settings
from btc_price_tracker.sources import SOURCES

log = structlog.get_logger(__name__)


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


async def run(settings: Settings, speed: float, ignored: list[str]) -> None:
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
        await run_service(settings.model_copy(update=playback.urls()), ORIGIN)
