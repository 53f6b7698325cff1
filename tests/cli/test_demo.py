"""The demo's own settings, which override the environment."""

import pytest

from btc_price_tracker.cli.demo import demo_settings
from btc_price_tracker.cli.flags import DEMO
from btc_price_tracker.settings import load

REAL = {
    "SOURCES": "coinbase,okx",
    "STORE_URL": "redis://x",
    "STORE_URL_FILE": "/none",
    "KRAKEN_URL": "no URL",
    "COINGECKO_API_KEY": "CG-key",
    "COINGECKO_API_KEY_FILE": "/none",
    "GEMINI_URL": "",
}


def test_settings_for_real_sources_are_ignored_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    values, ignored = demo_settings({}, REAL)
    assert sorted(ignored) == sorted(name for name, value in REAL.items() if value)
    settings = load(values)
    assert settings.store_url == DEMO["store_url"]
    assert ",".join(settings.sources) == DEMO["sources"]
    assert settings.coingecko_api_key is None


def test_flags_and_interval_of_the_environment_apply() -> None:
    values, ignored = demo_settings({"store_url": "sqlite:///x.db"}, {**REAL, "INTERVAL": "5"})
    assert values["store_url"] == "sqlite:///x.db"
    assert "interval" not in values
    assert "STORE_URL" not in ignored
    assert "INTERVAL" not in ignored
    assert demo_settings({}, {})[1] == []
