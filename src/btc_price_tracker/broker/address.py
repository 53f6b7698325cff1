"""BROKER_URL, taken apart: scheme://user:password@host:port/name, for some brokers with several hosts."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from btc_price_tracker.errors import InvalidBrokerUrl

_URL = re.compile(r"(?P<scheme>[a-z]+)://(?:(?P<user>[^@/?#]*)@)?(?P<hosts>[^@/?#]*)(?:/(?P<name>[^@/?#]*))?")
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is, and as whom to talk to it."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]  # names or IP addresses (IPv6 without brackets), and ports
    name: str  # what follows the slash; empty without one
    user: str | None
    password: str | None = None


def read_address(url: str, form: str, port: int) -> Address:
    """Take `url` apart; `port` is for hosts without one.

    Raises InvalidBrokerUrl, whose message shows the right `form` and nothing of the URL, which may hold a password.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidBrokerUrl(
            f"BROKER_URL can't be read; it goes {form}, without options, "
            "with special characters in user and password percent-encoded (p@ss is p%40ss)"
        )
    user, separator, password = (match["user"] or "").partition(":")
    return Address(
        scheme=match["scheme"],
        hosts=tuple(_host(host, form, port) for host in match["hosts"].split(",")),
        name=unquote(match["name"] or ""),
        user=unquote(user) or None,
        password=unquote(password) if separator else None,
    )


def _host(text: str, form: str, port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    if match is None or not 0 < int(match["port"] or port) < 65536:
        raise InvalidBrokerUrl(f"BROKER_URL names no usable host and port; it goes {form}")
    return match["host"].strip("[]"), int(match["port"] or port)
