"""`check`: try what `serve` needs."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from btc_price_tracker import app, configured
from btc_price_tracker.access import token_file
from btc_price_tracker.cli.startup import load_settings
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.http_client.check import check_connectivity
from btc_price_tracker.settings import Settings
from btc_price_tracker.settings.values import setting_text
from btc_price_tracker.store import Span
from btc_price_tracker.web.server.certificate import certificate_of
from btc_price_tracker.web.server.server import listen


def run(flags: Mapping[str, str]) -> int:
    """Validate the settings, try HOST, certificates, proxies, store and broker, and print the findings.

    Raises SettingsError, StoreError, BrokerError, TokensError, HttpClientError and OSError; the messages name the
    setting.
    """
    asyncio.run(_check(load_settings(flags)))
    return 0


async def _check(settings: Settings) -> None:
    certificate = certificate_of(settings, SystemClock())
    for listener in listen(settings.host, 0):  # not PORT, which a running server uses
        listener.close()
    await check_connectivity(configured.source_urls(settings))
    async with configured.open_configured_store(settings) as store:
        span, description = await store.span(), await store.describe()
    tokens = None if settings.tokens_file is None else token_file.read(settings.tokens_file)
    delay = await app.probe_broker(settings)
    for name, value in settings.model_dump().items():
        if value is not None and not _is_default_url(name, value):
            print(f"{name.upper()}={setting_text(name, value)}")
    print(f"\nThe settings are valid; the store opened and holds {_prices(span)}.")
    print(f"The store is {description}.")
    if certificate is not None:
        print(f"The certificate can be used until {certificate.expires:%Y-%m-%d %H:%M} UTC.")
    if tokens is not None:
        print(f"TOKENS_FILE names {len(tokens)} access tokens.")
    if delay is not None:
        print(f"The broker works; a probe came back through it within {delay * 1000:.0f} ms.")


def _is_default_url(name: str, value: object) -> bool:
    return name.endswith("_url") and value == Settings.model_fields[name].default


def _prices(span: Span) -> str:
    return f"prices from {_time(span.first)} to {_time(span.last)}" if span.first else "no prices yet"


def _time(tick_id: int) -> str:
    try:
        return datetime.fromtimestamp(tick_id / 1000, UTC).isoformat(sep=" ", timespec="seconds")
    except (ValueError, OverflowError, OSError):  # out of range, which each platform reports differently
        return f"the id {tick_id}, which is not a time in milliseconds"
