"""BROKER_URL: what it leads to, and what is wrong with it."""

import sys

import pytest

from btc_price_tracker.broker.address import Address
from btc_price_tracker.broker.opening import SCHEMES, address_of, open_broker
from btc_price_tracker.broker.options import History, Options
from btc_price_tracker.errors import BrokerError, InvalidBrokerUrl

OPTIONS = Options("a", History(100, 60))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost", Address("redis", (("localhost", 6379),), "", None)),
        ("rediss://:p%40ss@[::1]:7000/3", Address("rediss", (("::1", 7000),), "3", None, "p@ss")),
        ("nats://user:@a,b:4223", Address("nats", (("a", 4222), ("b", 4223)), "", "user", "")),
        ("tls://token@a", Address("tls", (("a", 4222),), "", "token")),
        ("kafka://a:9092/prices", Address("kafka", (("a", 9092),), "prices", None)),
    ],
)
def test_url_is_taken_apart(url: str, address: Address) -> None:
    assert address_of(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis",
        "redis:",
        "redis://",
        "redis://host:port",
        "redis://host:0",
        "redis://host:65536",
        "redis://host/0?ssl=secret",
        "redis://host/0#secret",
        "redis://user:sec@ret@host",
        "redis://user:sec/ret@host",
        "redis://host /0",
        "redis://a,b",
        "redis://a/prices",
        "rabbitmq://user:secret@host",
        "secret",
    ],
)
def test_invalid_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(InvalidBrokerUrl, match="redis://") as caught:
        open_broker(url, OPTIONS)
    assert "sec" not in str(caught.value)


@pytest.mark.parametrize(
    ("module", "scheme"),
    [("redis", "redis"), ("redis", "rediss"), ("nats", "nats"), ("nats", "tls"), ("aiokafka", "kafka")],
)
def test_missing_extra_is_named(module: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == module or f"broker.{SCHEMES[scheme].module}" in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        BrokerError, match=rf"needs \.venv/bin/pip install -e '\.\[{SCHEMES[scheme].extra}\]'"
    ):
        open_broker(f"{scheme}://host", OPTIONS)
