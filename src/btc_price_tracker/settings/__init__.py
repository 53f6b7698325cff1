"""Every setting, documented once: an environment variable of this name, or a flag (`STORE_URL` is `--store-url`)."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from btc_price_tracker.errors import SettingsError
from btc_price_tracker.settings import secret_files
from btc_price_tracker.settings.validation import describe_error, remedy
from btc_price_tracker.settings.values import (
    BaseUrl,
    BrokerUrl,
    Duration,
    Host,
    LogLevels,
    Origins,
    Secret,
    SourceNames,
    StoreUrl,
    default_max_clients,
    default_store_url,
)
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.telemetry.masking import masked


class Address(BaseSettings):
    """Where the server listens."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    host: Host = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all of this machine's")
    port: int = Field(8082, ge=0, le=65535, description="port to listen on; 0 picks a free one")

    def url(self) -> str:
        """URL of the server for clients on this machine. Raises SettingsError where the port is not known."""
        if self.port == 0:
            raise SettingsError(["PORT: with 0 the server picks a free port; give its URL"])
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - not bound
        return f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"


class Settings(Address):
    """The settings of `serve`, validated together; frozen."""

    sources: SourceNames = Field(
        ("coingecko", "coinpaprika", "coinbase", "kraken", "bitstamp", "gemini"),
        description=f"sources to poll, in order of preference, out of {', '.join(SOURCES)}",
    )
    policy: Literal["consensus", "fallback"] = Field(
        "consensus", description="consensus of all sources, or fallback: the first healthy source in order"
    )
    interval: float = Field(10, ge=1, le=86_400, allow_inf_nan=False, description="seconds between prices")
    coingecko_url: BaseUrl = Field(SOURCES["coingecko"].url, description="base URL of CoinGecko")
    coinbase_url: BaseUrl = Field(
        SOURCES["coinbase"].url, description="base URL of Coinbase, also for the USDT/USD rate"
    )
    kraken_url: BaseUrl = Field(
        SOURCES["kraken"].url, description="base URL of Kraken, also for the USDT/USD rate"
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
    coingecko_api_key: Secret | None = Field(
        None, description="demo or pro API key of CoinGecko; a pro key also needs COINGECKO_URL"
    )
    store_size: int = Field(
        10_000, ge=1, le=1_000_000, description="price updates kept in memory, about 300 bytes each"
    )
    store_url: StoreUrl = Field(
        default_factory=default_store_url,
        validate_default=True,
        description="where prices are kept: sqlite:///path (by default in the user's state directory), "
        "postgresql://…, mongodb://…, memory:// or memory:///path",
    )
    broker_url: BrokerUrl | None = Field(
        None,
        description="redis://… (Redis or Valkey), nats://… or kafka://…: instances that share it are one service",
    )
    retention: Duration = Field(
        90 * 86400, description="how long the store keeps prices, like 90d or 12h; 0 keeps them for ever"
    )
    heartbeat: float = Field(
        15, ge=1, le=86_400, allow_inf_nan=False, description="seconds of silence before a heartbeat"
    )
    keep_alive: float = Field(
        75,
        ge=1,
        le=86_400,
        allow_inf_nan=False,
        description="seconds for which an idle connection is kept; "
        "more than the idle timeout of a load balancer, which is 60 in most",
    )
    max_clients: int = Field(
        default_factory=default_max_clients,
        ge=0,
        description="maximum of open streams (by default the limit of open files minus 512); 0 for no limit",
    )
    max_stream_age: Duration = Field(
        0,
        description="close streams after about this time, like 1h (they resume elsewhere), so that load rebalances; "
        "0 for never",
    )
    reuse_port: bool = Field(
        False, description="whether several processes may listen on the same port of this machine"
    )
    cors_origins: Origins = Field(
        ("*",),
        description="origins whose pages may use the API, separated by commas; "
        "an exact one may send credentials, * and null never",
    )
    metrics_token: Secret | None = Field(None, description="bearer token that /metrics requires")
    log_level: LogLevels = Field(
        "info",
        description="least severe level that is logged: debug, info, warning or error; "
        "other levels of single loggers follow, like info,btc_price_tracker.sources=debug",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="console, json, or auto: console on a terminal, JSON elsewhere"
    )

    def url_of(self, source: str) -> str:
        """The base URL of a source."""
        return str(getattr(self, f"{source}_url"))


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


# Never shown, and never flags: every user of the machine can see those.
SECRETS = tuple(name for name, field in Settings.model_fields.items() if _is_secret(field.annotation))

# What may be read from a file: STORE_URL often has a password in it.
FROM_FILES = (*SECRETS, "store_url", "broker_url")


def load(flags: Mapping[str, str | None]) -> Settings:
    """The settings from the environment, overridden by flags (by field name; None: as if the variable were unset).

    Raises SettingsError with all errors at once.
    """
    secrets, faults = secret_files.read(name for name in FROM_FILES if name not in flags)
    values: dict[str, Any] = {**secrets, **flags}  # texts, as in the environment: pydantic converts them
    try:
        settings = Settings(**values)
    except ValidationError as error:
        faults += map(_describe, error.errors())
    if faults:
        raise SettingsError(faults)
    return settings


def load_address(flags: Mapping[str, str]) -> Address:
    """HOST and PORT alone, from the environment, overridden by flags. Raises SettingsError."""
    values: dict[str, Any] = {**flags}
    try:
        return Address(**values)
    except ValidationError as error:
        raise SettingsError(map(_describe, error.errors())) from None


def _describe(error: Any) -> str:
    """One sentence for one of the errors of a ValidationError: setting, remedy and value, unless it is a secret."""
    name = str(error["loc"][0])
    if name in SECRETS:
        return f"{name.upper()}: {remedy(error)}"
    value = masked(error["input"]) if name.endswith("_url") else error["input"]
    return f"{name.upper()}: {describe_error({**error, 'input': value})}"
