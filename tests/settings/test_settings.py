"""Settings: values that are read, and all faults at once."""

import os
import re

import pytest

from btc_price_tracker.settings import SECRETS, load
from command import run, shell

JUNK = {
    "port": ["x", "-1", "65536", "1.5", "1e3", "0x10", "9" * 30],
    "interval": ["x", "nan", "inf", "0", "86401"],
    "policy": ["both"],
    "log_level": ["loud"],
    "sources": ["mtgox", ","],
    "store_url": ["redis://x", "x"],
    "retention": ["1y", "x"],
    "kraken_url": ["h", "ftp://h"],
    "max_clients": ["-1", "many"],
    "cors_origins": ["example.com"],
    "host": ["a b"],
    "metrics_token": ["two words", "clé"],
}


@pytest.mark.parametrize("name", JUNK)
def test_a_bad_setting_is_said_in_plain_words_with_its_value(name: str) -> None:
    for value in JUNK[name]:
        with pytest.raises(Exception, match=f"^  {name.upper()}: ") as raised:
            load({name: value})
        said = str(raised.value)
        assert not re.search(r"[Ii]nput|valid|parse|pydantic|Errno", said), said
        assert (value in said) is (name not in SECRETS)


def test_all_faults_of_the_settings_come_at_once() -> None:
    result = run(
        "serve", "--sources", "mtgox", PORT="99999", INTERVAL="0", STORE_URL="redis://x", RETENTION="1y"
    )
    assert result.returncode == 2
    for name in ("SOURCES", "PORT", "INTERVAL", "STORE_URL", "RETENTION"):
        assert name in result.stderr
    assert "mtgox" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_could_not_work_is_a_fault_from_the_start() -> None:
    faults = {
        "HOST": "a b",
        "CORS_ORIGINS": "https://example.com/",
        "KRAKEN_URL": "http://h:99999",
        "GEMINI_URL": "http://h/a b",
        "COINBASE_URL": "http://h/?a=b",
        "BITSTAMP_URL": "http://h/#a",
        "STORE_URL": "sqlite://x.db",
        "METRICS_TOKEN": "clé",
        "COINGECKO_API_KEY": "a key",
    }
    result = run("check", **faults)
    assert result.returncode == 2
    assert {line.split(":")[0].strip() for line in result.stderr.splitlines()[1:]} == set(faults)


def test_blanks_around_a_url_are_no_part_of_it() -> None:
    result = run("check", KRAKEN_URL=" http://h/ ", STORE_URL="memory://")
    assert "KRAKEN_URL=http://h\n" in result.stdout


def test_origins_are_compared_as_browsers_write_them() -> None:
    result = run("check", CORS_ORIGINS="https://Example.com:8080, null", STORE_URL="memory://")
    assert "CORS_ORIGINS=https://example.com:8080,null\n" in result.stdout


@pytest.mark.parametrize(
    "url", ["h", "ftp://h", "http://h:port", "http://h?a", r"http://a\b", "http://é..com"]
)
def test_a_source_at_what_is_no_url_is_refused(url: str) -> None:
    result = run("check", KRAKEN_URL=url, STORE_URL="memory://")
    assert result.returncode == 2
    assert "give a base URL like https://api.example.com, without a query" in result.stderr


@pytest.mark.parametrize("url", ["http://u:hidden@h/x", "ftp://u:hidden@h", "http://u:hidden@h:port"])
def test_no_secret_in_a_url_is_shown(url: str) -> None:
    result = run("check", KRAKEN_URL=url, STORE_URL="memory://")
    assert "KRAKEN_URL" in result.stdout + result.stderr
    assert "hidden" not in result.stdout + result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody unknown")
def test_a_user_without_a_home_is_asked_for_a_store() -> None:
    result = shell("unset HOME; setpriv --reuid=54321 --clear-groups $TRACKER check")
    assert result.returncode == 2
    assert "STORE_URL: this user has no home" in result.stderr


@pytest.mark.parametrize("command", ["serve", "check", "export"])
@pytest.mark.parametrize(
    "url", ["mongodb://", "mongodb://h", "mongodb://h:0/d", "mongodb://u:p@ss@h/d", "postgresql://["]
)
def test_a_url_that_no_store_will_ever_come_of_is_a_bad_setting(command: str, url: str) -> None:
    result = run(command, STORE_URL=url, PORT="0")
    assert result.returncode == 2
    assert "these settings can't be used:\nSTORE_URL can't be " in result.stderr
    assert "Traceback" not in result.stderr
