"""Settings: values, their normal forms, and errors."""

import os
import re
from pathlib import Path

import pytest

from btc_price_tracker.errors import InvalidStoreUrl, SettingsError
from btc_price_tracker.settings import SECRETS, Settings, load
from btc_price_tracker.settings.values import setting_text
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.store import open_store
from command import run, shell

INVALID = {
    "port": ["x", "-1", "65536", "99999", "1.5", "1e3", "0x10", "9" * 30],
    "interval": ["x", "nan", "inf", "0", "86401"],
    "policy": ["both"],
    "log_level": ["loud"],
    "sources": ["mtgox", ",", "kraken,kraken"],
    "store_url": ["redis://x", "x", "sqlite://x.db"],
    "retention": ["1y", "x"],
    "kraken_url": [
        "h",
        "ftp://h",
        "http://h:port",
        "http://h:99999",
        "http://h:0",
        "http://h/a b",
        "http://h?a",
        "http://h/#a",
        r"http://a\b",
        "http://é..com",
    ],
    "max_clients": ["-1", "many"],
    "max_clients_per_ip": ["-1"],
    "connect_rate": ["0.5"],
    "connect_rate_per_ip": ["x"],
    "request_rate_per_ip": ["-1"],
    "trusted_proxies": [
        "localhost",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "2001:db8::1/32",
        "10.0.0.0/8;::1",
        "10.0.0.256",
        "::1%lo",
        "none,::1",
        "/8",
    ],
    "cors_origins": ["example.com", "https://example.com/"],
    "host": ["a b"],
    "metrics_token": ["two words", "clé"],
    "coingecko_api_key": ["a key"],
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_value_is_named_in_plain_words(name: str) -> None:
    for value in INVALID[name]:
        with pytest.raises(SettingsError, match=f"^  {name.upper()}: give ") as raised:
            load({name: value})
        message = str(raised.value)
        assert not re.search(r"[Ii]nput|valid|parse|pydantic|Errno", message), message
        if name in SECRETS:
            assert value not in message
        else:
            assert repr(value)[1:-1] in message


def test_all_errors_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        load({name: values[0] for name, values in INVALID.items()})
    assert sorted(fault.partition(":")[0].lower() for fault in raised.value.faults) == sorted(INVALID)


def test_command_reports_invalid_settings_with_exit_code_2() -> None:
    result = run("serve", "--sources", "mtgox", PORT="99999", INTERVAL="0", STORE_URL="redis://x")
    assert result.returncode == 2
    first, *faults = result.stderr.splitlines()
    assert first == "btc-price-tracker: invalid settings:"
    assert [fault.partition(":")[0] for fault in faults] == [
        "  PORT",
        "  SOURCES",
        "  INTERVAL",
        "  STORE_URL",
    ]


def test_base_url_loses_blanks_and_trailing_slash() -> None:
    assert load({"kraken_url": " http://h/ "}).kraken_url == "http://h"


def test_origins_are_in_the_form_that_browsers_send() -> None:
    assert load({"cors_origins": "https://Example.com:8080, null"}).cors_origins == (
        "https://example.com:8080",
        "null",
    )


@pytest.mark.parametrize("url", ["ftp://u:hidden@h", "http://u:hidden@h:port", "http://u:hidden@h?"])
def test_password_in_an_invalid_url_is_masked(url: str) -> None:
    with pytest.raises(SettingsError, match=r"KRAKEN_URL: .*\*\*\*@h") as raised:
        load({"kraken_url": url})
    assert "hidden" not in str(raised.value)


def test_password_in_a_valid_url_is_masked() -> None:
    assert (
        setting_text("kraken_url", load({"kraken_url": "http://u:hidden@h/x"}).kraken_url) == "http://***@h/x"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1,::1", "127.0.0.1,::1"),
        (" 10.0.0.0/8 , 2001:DB8:0::/48,", "10.0.0.0/8,2001:db8::/48"),
        ("192.0.2.1/32,2001:db8::1/128", "192.0.2.1,2001:db8::1"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("none", "none"),
    ],
)
def test_trusted_proxies_are_addresses_and_networks(text: str, expected: str) -> None:
    networks = load({"trusted_proxies": text}).trusted_proxies
    assert setting_text("trusted_proxies", networks) == expected
    assert load({"trusted_proxies": expected}).trusted_proxies == networks


def test_a_network_with_the_address_of_a_host_is_explained() -> None:
    with pytest.raises(SettingsError, match=r"give 10\.0\.0\.0/8 .* or 10\.0\.0\.1 .*not .*10\.0\.0\.1/8"):
        load({"trusted_proxies": "10.0.0.1/8"})


def test_limits_of_clients_are_those_of_the_documentation() -> None:
    settings = load({})
    assert settings.max_clients_per_ip == 100
    assert (settings.connect_rate, settings.connect_rate_per_ip) == (2000, 50)
    assert settings.trusted_proxies == ("127.0.0.1", "::1")


@pytest.mark.parametrize("retention", ["12h", "90d", "45s", "90m", "0"])
def test_retention_is_shown_as_it_is_set(retention: str) -> None:
    assert setting_text("retention", load({"retention": retention}).retention) == retention


def test_every_source_has_a_url_setting() -> None:
    names = {name.removesuffix("_url") for name in Settings.model_fields if name.endswith("_url")}
    assert names - {"store", "broker"} == set(SOURCES)
    settings = load({})
    assert [settings.url_of(name) for name in SOURCES] == [source.url for source in SOURCES.values()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an unknown user")
def test_user_without_home_must_set_store_url() -> None:
    result = shell("unset HOME; setpriv --reuid=54321 --clear-groups $TRACKER check")
    if result.returncode == 127:
        pytest.skip("other users can't read the libraries of this interpreter")
    assert result.returncode == 2
    assert "STORE_URL: this user has no home" in result.stderr


@pytest.mark.parametrize(
    "url", ["mongodb://", "mongodb://h", "mongodb://h:0/d", "mongodb://u:p@ss@h/d", "postgresql://["]
)
async def test_store_url_that_only_the_driver_rejects_is_never_retried(url: str) -> None:
    with pytest.raises(InvalidStoreUrl, match=r"^STORE_URL can't be "):
        await open_store(load({"store_url": url}).store_url, capacity=1)


@pytest.mark.parametrize(("command", "url"), [("serve", "mongodb://h:0/d"), ("check", "postgresql://[")])
def test_store_url_that_only_the_driver_rejects_is_an_invalid_setting(command: str, url: str) -> None:
    result = run(command, STORE_URL=url, PORT="0")
    assert result.returncode == 2
    assert "invalid settings:\nSTORE_URL can't be " in result.stderr
    assert "Traceback" not in result.stderr


def test_secret_from_a_file_is_masked(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim\n")
    result = run("check", METRICS_TOKEN_FILE=str(tmp_path / "token"), STORE_URL="memory://")
    assert "METRICS_TOKEN=***" in result.stdout
    assert "geheim" not in result.stdout + result.stderr
