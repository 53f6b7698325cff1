"""Types of the settings' values: how each is parsed, validated and formatted.

Validators raise ValueError with the remedy; the caller adds the name and the value.
"""

import re
from contextlib import suppress
from typing import Annotated
from urllib.parse import urlsplit

from platformdirs import user_state_path
from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode
from yarl import URL

from btc_price_tracker.broker.opening import address_of
from btc_price_tracker.errors import BrokerError, StoreError
from btc_price_tracker.settings.open_files import file_limit
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.store import scheme_of
from btc_price_tracker.telemetry.levels import parse
from btc_price_tracker.telemetry.masking import masked

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATIONS = ("retention", "max_stream_age")
_RESERVED_FILES = 512  # for the store, the sources and plain requests


def _duration(value: object) -> object:
    """Seconds of `90d`, `12h`, `30m`, `45s` or `0`."""
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"([0-9]{1,9})([smhd])|0", str(value).strip())
    if match is None:
        raise ValueError("give a number and a unit, like 90d, 12h, 30m or 45s; or 0 for no limit")
    return int(match[1]) * _SECONDS[match[2]] if match[1] else 0


def _items(value: object) -> object:
    """The items of a comma-separated list."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _sources(names: tuple[str, ...]) -> tuple[str, ...]:
    if not SOURCES.keys() >= set(names):
        raise ValueError(f"give names out of {', '.join(SOURCES)}")
    if not names:
        raise ValueError(f"give at least one of {', '.join(SOURCES)}")
    if len(set(names)) < len(names):
        raise ValueError("give each source once")
    return names


def _log_levels(levels: str) -> str:
    """Levels as LOG_LEVEL has them."""
    parse(levels)
    return levels.lower()


def _host(host: str) -> str:
    """A name or an address by its characters; `listen()` finds out whether this machine has it."""
    if not re.fullmatch(r"[\w.:%-]+", host.strip()):
        raise ValueError("give an address of this machine, like 127.0.0.1, or 0.0.0.0 for all of them")
    return host.strip()


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers send them: in lower case, without a path."""
    for origin in origins:
        if not re.fullmatch(r"\*|null|[\w+.-]+://[^/?#\s]+", origin):
            raise ValueError("give origins like https://example.com, without a path, or * for all")
    return tuple(origin.lower() for origin in origins)


def _base_url(url: str) -> str:
    """A URL to which a path can be appended."""
    url = url.strip()
    with suppress(ValueError):  # from an invalid port or address
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if complete and not re.search(r"[\s?#]", url):
            URL(url)  # is stricter about host names
            return url.rstrip("/")
    raise ValueError("give a base URL like https://api.example.com, without a query")


def _secret(secret: SecretStr) -> SecretStr:
    """A secret that is valid in a header field (RFC 9110, 5.5)."""
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("give printable ASCII characters without blanks")
    return secret


def _store_url(url: str) -> str:
    if not url:
        raise ValueError("this user has no home directory to keep prices in; give sqlite:////path or another")
    try:
        scheme_of(url)
    except StoreError as error:
        raise ValueError(str(error)) from None
    return url


def _broker_url(url: str) -> str:
    try:
        address_of(url)
    except BrokerError as error:
        raise ValueError(str(error)) from None
    return url


def default_store_url() -> str:
    """The file in the user's state directory; empty where the user has no home directory, as in a container."""
    try:
        return f"sqlite:///{user_state_path('btc-price-tracker')}/prices.db"
    except RuntimeError:  # neither HOME nor an entry in the user database
        return ""


def default_max_clients(limit: int | None = None) -> int:
    """The limit of open files, by default that of this process, less a reserve."""
    return max((file_limit() if limit is None else limit) - _RESERVED_FILES, 1)


LogLevels = Annotated[str, AfterValidator(_log_levels)]
Host = Annotated[str, AfterValidator(_host)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
BrokerUrl = Annotated[str, AfterValidator(_broker_url)]
Duration = Annotated[int, BeforeValidator(_duration)]  # seconds
_Items = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items)]
SourceNames = Annotated[_Items, AfterValidator(_sources)]
Origins = Annotated[_Items, AfterValidator(_origins)]


def setting_text(name: str, value: object) -> str:
    """A value as an operator would write it, without the secrets in it."""
    if name.endswith("_url"):
        return masked(str(value))
    if name in _DURATIONS and isinstance(value, int):
        return _duration_text(value)
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _duration_text(seconds: int) -> str:
    """A duration in the largest unit that divides it: `12h`."""
    number, unit = next(
        (seconds // size, unit) for unit, size in reversed(_SECONDS.items()) if seconds % size == 0
    )
    return f"{number}{unit}" if number else "0"
