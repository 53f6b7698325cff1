"""What of a URL may be seen."""

import pytest

from btc_price_tracker.telemetry.masking import masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:SECRET@h/x", "http://***@h/x"),
        ("http://SECRET@h", "http://***@h"),
        ("ftp://u:SECRET@h", "ftp://***@h"),
        ("postgresql://u:SE/CR#ET?@h:5432/d", "postgresql://***@h:5432/d"),
        ("postgresql://h/d?user=u&password=SECRET", "postgresql://h/d?user=u&password=***"),
        ("postgresql://h/d?sslpassword=SECRET&sslmode=require", "postgresql://h/d?sslpassword=***&sslmode=require"),
        ("mongodb://h/d?authMechanismProperties=AWS_SESSION_TOKEN:SECRET", "mongodb://h/d?authMechanismProperties=***"),
        ("https://h/x?api_KEY=SECRET&a=b", "https://h/x?api_KEY=***&a=b"),
        ("u:SECRET@h", "***@h"),
        ("http:/u:SECRET@h", "***@h"),
    ],
)  # fmt: skip
def test_no_secret_is_shown(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize("url", ["memory://", "sqlite:////home/u@work/prices.db", "https://api.kraken.com/0"])
def test_what_holds_no_secret_is_shown_whole(url: str) -> None:
    assert masked(url) == url
