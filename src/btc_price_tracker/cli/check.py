"""`check`: try what `serve` will need."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from btc_price_tracker import app
from btc_price_tracker.cli.startup import load_settings
from btc_price_tracker.http_client.check import check_connectivity
from btc_price_tracker.settings import Settings, setting_text
from btc_price_tracker.store import Span
from btc_price_tracker.web.server.server import listen


def run(flags: Mapping[str, str]) -> int:
    """Try what `serve` will need, open what the settings name, print what was found; the exit code is 0.

    Raises SettingsError, StoreError, HttpClientError and OSError, in terms of the settings.
    """
    asyncio.run(_check(load_settings(flags)))
    return 0


async def _check(settings: Settings) -> None:
    for listener in listen(settings.host, 0):  # whether PORT is free says nothing while the server runs
        listener.close()
    await check_connectivity(app.asked_urls(settings))
    async with app.open_configured_store(settings) as store:
        span, what = await store.span(), await store.describe()
    for name, value in settings.model_dump().items():
        if value is not None and not (name.endswith("_url") and value == Settings.model_fields[name].default):
            print(f"{name.upper()}={setting_text(name, value)}")
    print(f"\nThe settings are good; the store opens and holds {_held(span)}.")
    print(f"The store is {what}.")


def _held(span: Span) -> str:
    return f"prices from {_moment(span.first)} to {_moment(span.last)}" if span.first else "no prices yet"


def _moment(tick_id: int) -> str:
    try:
        return datetime.fromtimestamp(tick_id / 1000, UTC).isoformat(sep=" ", timespec="seconds")
    except (ValueError, OverflowError, OSError):  # beyond the calendar: by what the platform makes of it
        return f"the id {tick_id}, which is no time in milliseconds"
