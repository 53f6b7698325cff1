"""The place where BROKER_URL becomes a broker."""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from btc_price_tracker.broker import Broker
from btc_price_tracker.broker.address import Address, read_address
from btc_price_tracker.broker.options import Options
from btc_price_tracker.errors import BrokerError, InvalidBrokerUrl


class Scheme(NamedTuple):
    """Where a kind of broker lives, how its URL reads, and the extra that it needs."""

    module: str
    form: str
    port: int
    extra: str


SCHEMES = {
    "redis": Scheme("redis", "redis://user:password@host:6379/0", 6379, "redis"),
    "rediss": Scheme("redis", "rediss://user:password@host:6379/0", 6379, "redis"),
    "nats": Scheme("nats", "nats://user:password@host:4222", 4222, "nats"),
    "tls": Scheme("nats", "tls://user:password@host:4222", 4222, "nats"),
    "kafka": Scheme("kafka", "kafka://user:password@host:9092/topic", 9092, "kafka"),
}

_Opener = Callable[[Address, Options], Broker]


def address_of(url: str) -> Address:
    """Where `url` leads. Raises InvalidBrokerUrl, without a password in its message."""
    scheme = _scheme_of(url)
    return read_address(url, scheme.form, scheme.port)


def open_broker(url: str, options: Options) -> Broker:
    """Make the broker that `url` names, without connecting to it yet.

    Raises InvalidBrokerUrl where the URL can't be used, and BrokerError where something it needs isn't installed.
    """
    opener = _opener(_scheme_of(url))
    return opener(address_of(url), options)


def _scheme_of(url: str) -> Scheme:
    name, separator, _ = url.partition("://")
    if not separator or name not in SCHEMES:
        raise InvalidBrokerUrl(f"give one of {', '.join(scheme.form for scheme in SCHEMES.values())}")
    return SCHEMES[name]


def _opener(scheme: Scheme) -> _Opener:
    """The implementation, imported only now: an instance pays for no client library that it doesn't use."""
    try:
        opener: _Opener = import_module(f"btc_price_tracker.broker.{scheme.module}").open_address
    except ImportError as error:
        remedy = f".venv/bin/pip install -e '.[{scheme.extra}]'"
        raise BrokerError(f"{scheme.form} needs {remedy} ({error})") from error
    return opener
