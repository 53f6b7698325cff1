"""Every setting, documented once: an environment variable of this name, or a flag (`STORE_URL` is `--store-url`)."""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from platformdirs import user_state_path
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from yarl import URL

from btc_price_tracker.errors import SettingsError, StoreError
from btc_price_tracker.settings import secret_files
from btc_price_tracker.settings.open_files import file_limit
from btc_price_tracker.settings.validation import complaint, remedy
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.store import scheme_of
from btc_price_tracker.telemetry.masking import masked

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RESERVED_FILES = 512  # for the store, the sources, plain requests


def _duration(value: object) -> object:
    """Seconds of `90d`, `12h`, `30m`, `45s` or `0`."""
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"([0-9]{1,9})([smhd])|0", str(value).strip())
    if match is None:
        raise ValueError("give a number and a unit, like 90d, 12h, 30m or 45s; or 0 for ever")
    return int(match[1]) * _SECONDS[match[2]] if match[1] else 0


def duration_text(seconds: int) -> str:
    """The setting that means so many seconds, in the largest unit that will do: `12h`."""
    number, unit = next(
        (seconds // size, unit) for unit, size in reversed(_SECONDS.items()) if seconds % size == 0
    )
    return f"{number}{unit}" if number else "0"


def _names(value: object) -> object:
    """The items of a comma-separated list."""
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(value, str) else value


def _known_sources(names: tuple[str, ...]) -> tuple[str, ...]:
    if not SOURCES.keys() >= set(names):
        raise ValueError(f"give names out of {', '.join(SOURCES)}")
    if not names:
        raise ValueError(f"name at least one of {', '.join(SOURCES)}")
    if len(set(names)) < len(names):
        raise ValueError("a source is named twice")
    return names


def _address(host: str) -> str:
    """A name or an address, as far as its letters go; whether this machine has it is seen when it is wanted."""
    if not re.fullmatch(r"[\w.:%-]+", host.strip()):
        raise ValueError("give an address of this machine, like 127.0.0.1, or 0.0.0.0 for all it has")
    return host.strip()


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """Origins as browsers write them: in small letters, without a path."""
    for origin in origins:
        if not re.fullmatch(r"\*|null|[\w+.-]+://[^/?#\s]+", origin):
            raise ValueError("give origins like https://example.com, without a path, or * for all")
    return tuple(origin.lower() for origin in origins)


def _base_url(url: str) -> str:
    """The URL, to which a path can be added."""
    url = url.strip()
    with suppress(ValueError):  # of a port or an address that can't be
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if whole and not re.search(r"[\s?#]", url):
            URL(url)  # is stricter about names
            return url.rstrip("/")
    raise ValueError("give a base URL like https://api.example.com, without a query")


def _sendable(secret: SecretStr) -> SecretStr:
    """A secret that fits in a header."""
    if not re.fullmatch(r"[!-~]+", secret.get_secret_value()):
        raise ValueError("give ASCII letters, digits and signs, without blanks")
    return secret


def _known_store(url: str) -> str:
    if not url:
        raise ValueError(
            "this user has no home to keep prices in; give one like sqlite:////var/lib/prices.db"
        )
    try:
        scheme_of(url)
    except StoreError as error:
        raise ValueError(str(error)) from None
    return url


def _own_store() -> str:
    """The file in the user's state directory; nothing where there is no such directory."""
    try:
        return f"sqlite:///{user_state_path('btc-price-tracker')}/prices.db"
    except RuntimeError:  # as in a container: no HOME, and the system doesn't know the user
        return ""


def _most_streams() -> int:
    """The open files this process may have, less a reserve."""
    return max(file_limit() - _RESERVED_FILES, 1)


Secret = Annotated[SecretStr, AfterValidator(_sendable)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Duration = Annotated[int, BeforeValidator(_duration)]


class Address(BaseSettings):
    """Where the server listens."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    host: Annotated[str, AfterValidator(_address)] = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8082, ge=0, le=65535, description="port to listen on; 0 picks a free one")

    def url(self) -> str:
        """Where clients on this machine find the server. Raises SettingsError where that is not known."""
        if self.port == 0:
            raise SettingsError(["PORT: with 0 the server picks a free port; give its URL"])
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - not bound
        return f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"


class Settings(Address):
    """The settings of `serve`, validated together; frozen once made."""

    sources: Annotated[Names, AfterValidator(_known_sources)] = Field(
        ("coingecko", "coinpaprika", "coinbase", "kraken", "bitstamp", "gemini"),
        description="which sources to ask, in order of preference",
    )
    policy: Literal["consensus", "fallback"] = Field(
        "consensus", description="consensus of all sources, or fallback: the first healthy source in order"
    )
    interval: float = Field(10, ge=1, le=86_400, allow_inf_nan=False, description="seconds between prices")
    coingecko_url: BaseUrl = Field(SOURCES["coingecko"].url, description="base URL of CoinGecko")
    coinbase_url: BaseUrl = Field(SOURCES["coinbase"].url, description="base URL of Coinbase")
    kraken_url: BaseUrl = Field(
        SOURCES["kraken"].url, description="base URL of Kraken (also gives the USDT/USD rate)"
    )
    bitstamp_url: BaseUrl = Field(SOURCES["bitstamp"].url, description="base URL of Bitstamp")
    gemini_url: BaseUrl = Field(SOURCES["gemini"].url, description="base URL of Gemini")
    binance_url: BaseUrl = Field(SOURCES["binance"].url, description="base URL of Binance")
    binanceus_url: BaseUrl = Field(SOURCES["binanceus"].url, description="base URL of Binance.US")
    bitfinex_url: BaseUrl = Field(SOURCES["bitfinex"].url, description="base URL of Bitfinex")
    okx_url: BaseUrl = Field(SOURCES["okx"].url, description="base URL of OKX")
    coinpaprika_url: BaseUrl = Field(SOURCES["coinpaprika"].url, description="base URL of CoinPaprika")
    blockchain_info_url: BaseUrl = Field(
        SOURCES["blockchain_info"].url, description="base URL of blockchain.info"
    )
    coingecko_api_key: Secret | None = Field(None, description="a demo or pro key of CoinGecko")
    store_size: int = Field(
        10_000, ge=1, le=1_000_000, description="price updates kept in memory, some 300 bytes each"
    )
    store_url: Annotated[str, AfterValidator(_known_store)] = Field(
        default_factory=_own_store,
        validate_default=True,
        description="where prices are kept: sqlite:///path, postgresql://…, mongodb://… or memory://",
    )
    retention: Duration = Field(
        default_factory=lambda: 90 * 86400,
        description="how long the store keeps prices, like 12h; 0 for ever",
    )
    heartbeat: float = Field(
        15, ge=1, le=86_400, allow_inf_nan=False, description="seconds of silence before a heartbeat"
    )
    keep_alive: float = Field(
        75, ge=1, le=86_400, allow_inf_nan=False, description="seconds for which an idle connection is kept"
    )
    max_clients: int = Field(
        default_factory=_most_streams, ge=0, description="open streams at most; 0 for no limit"
    )
    cors_origins: Annotated[Names, AfterValidator(_origins)] = Field(
        ("*",), description="origins whose pages may use the API, separated by commas"
    )
    metrics_token: Secret | None = Field(None, description="a bearer token that /metrics wants")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = Field(
        "info", description="least level that is logged"
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto is console on a terminal and JSON elsewhere"
    )

    def url_of(self, source: str) -> str:
        """The base URL at which a source is asked."""
        return str(getattr(self, f"{source}_url"))


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


# Never shown, and never flags, which every user of the machine can see.
SECRETS = tuple(name for name, field in Settings.model_fields.items() if _is_secret(field.annotation))


# What may be read from a file: STORE_URL often has a password in it.
FROM_FILES = (*SECRETS, "store_url")


def setting_text(name: str, value: object) -> str:
    """A setting as one would write it, without the secrets in it."""
    if name.endswith("_url"):
        return masked(str(value))
    if name == "retention" and isinstance(value, int):
        return duration_text(value)
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def load(flags: Mapping[str, str | None]) -> Settings:
    """The settings from the environment and, over it, from flags (by field name; None: as if it were not set).

    Raises SettingsError that names every fault at once.
    """
    read, faults = secret_files.read(name for name in FROM_FILES if name not in flags)
    values: dict[str, Any] = {**read, **flags}  # texts, as the environment has them: pydantic converts
    try:
        settings = Settings(**values)
    except ValidationError as error:
        faults += [_fault(fault) for fault in error.errors()]
    if faults:
        raise SettingsError(faults)
    return settings


def load_address(flags: Mapping[str, str]) -> Address:
    """Where the server listens, by HOST and PORT alone, from the environment and, over it, from flags.

    Raises SettingsError.
    """
    values: dict[str, Any] = {**flags}
    try:
        return Address(**values)
    except ValidationError as error:
        raise SettingsError(map(_fault, error.errors())) from None


def _fault(fault: Any) -> str:
    name = str(fault["loc"][0])
    if name in SECRETS:
        return f"{name.upper()}: {remedy(fault)}"
    given = masked(fault["input"]) if name.endswith("_url") else fault["input"]
    return f"{name.upper()}: {complaint({**fault, 'input': given})}"
