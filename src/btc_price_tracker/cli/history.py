"""`history`: prices or candles of a running server, fetched over HTTP."""

import asyncio
import re
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, NamedTuple

import aiohttp
import msgspec
from yarl import URL

from btc_price_tracker.cli.tables import Row, write
from btc_price_tracker.errors import ServerError
from btc_price_tracker.http_client.client import Client, read_limited
from btc_price_tracker.http_client.errors import ConnectionEnded, ResponseTooLarge, describe_error
from btc_price_tracker.settings import load_access_token, load_address
from btc_price_tracker.telemetry.masking import masked

PAGE_SIZE = 10_000  # rows, the maximum of a server

_TIME_AGO = re.compile(r"-([0-9]{1,9})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # the last for deep nesting
_decoder = msgspec.json.Decoder(list[Row], float_hook=Decimal)  # exact to the cent


class Limits(NamedTuple):
    """What a server may take."""

    timeout: float = 30.0  # seconds for a connection, and for each part of a response
    max_bytes: int = 2**24  # of a response; our rows have about 150 bytes each


LIMITS = Limits()


class _Timestamped(msgspec.Struct):
    """The field that prices and candles have in common."""

    timestamp: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]  # up to the year 9999


class _Problem(msgspec.Struct):
    detail: str


_timestamp_decoder = msgspec.json.Decoder(list[_Timestamped])


class _Response(NamedTuple):
    server: str  # host and port as given
    status: int
    body: bytes
    next_url: URL | None = None


def run(flags: dict[str, str]) -> int:
    """Print prices or candles of a running server; returns the exit code."""
    form = flags.pop("format")
    url, token = server_url(flags), load_access_token()
    query = {name: value for name, value in flags.items() if name in ("since", "until", "interval")}
    asyncio.run(write(fetch(url, query, token=token), form, sys.stdout))
    return 0


def parse_time(text: str, now: int) -> int:
    """Seconds since the epoch from a number of them, ISO 8601 (UTC by default), or a time ago like `-1h`.

    Raises ValueError and OverflowError.
    """
    if ago := _TIME_AGO.fullmatch(text):
        seconds = now - int(ago[1]) * _UNITS[ago[2]]
    elif text.isdecimal():
        seconds = int(text)
    else:
        parsed = datetime.fromisoformat(text)
        seconds = int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    if seconds < 0:
        raise ValueError("it is before 1970")
    return seconds


def server_url(flags: Mapping[str, str]) -> str:
    """The URL of the server from the flags, else from HOST and PORT.

    Raises ServerError if two URLs are given, and SettingsError.
    """
    urls = [flags[name] for name in ("url", "url_flag") if name in flags]
    if len(urls) > 1:
        raise ServerError("the URL of the server is given twice; leave one out")
    address = {name: flags[name] for name in ("host", "port") if name in flags}
    return urls[0] if urls else load_address(address).url()


async def fetch(
    url: str, query: dict[str, str], limits: Limits = LIMITS, token: str | None = None
) -> AsyncGenerator[list[Row]]:
    """Pages of prices, or of candles if the query has an interval, following the `Link` from one to the next.

    `token` is the access token, where the server wants one.

    Raises ServerError if the server refuses, can't be reached or is not a btc-price-tracker, and HttpClientError.
    """
    path = "prices/candles" if "interval" in query else "prices"
    next_url: URL | None = (_base(url) / path).with_query({"limit": str(PAGE_SIZE), **query})
    timeout = aiohttp.ClientTimeout(total=None, connect=limits.timeout, sock_read=limits.timeout)
    fetched: set[URL] = set()
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with Client(timeout, headers, limits.max_bytes) as client:
        while next_url is not None:
            response = await _get(client, next_url, limits.max_bytes)
            fetched.add(next_url)
            if response.next_url in fetched:
                raise ServerError(f"{response.server} is not a btc-price-tracker: its pages form a loop")
            yield _rows(response)
            next_url = response.next_url


def _base(url: str) -> URL:
    """The URL of the server, which may have a path prefix."""
    with suppress(ValueError):
        base = URL(url)
        if base.scheme in ("http", "https") and base.host:
            return base
    raise ServerError(f"{masked(url)!r} is not the URL of a server; give one like http://localhost:8082")


async def _get(client: Client, url: URL, max_bytes: int) -> _Response:
    server = url.with_user(None).raw_authority
    try:
        response, body = await _get_over_live_connection(client, url, max_bytes)
    except ResponseTooLarge:
        raise ServerError(
            f"{server} is not a btc-price-tracker: its response has more than {max_bytes:,} bytes"
        ) from None
    except (aiohttp.ClientError, ValueError) as error:
        raise ServerError(f"{server} can't be reached: {describe_error(error)}") from None
    page = _Response(server, response.status, body)
    if page.status == 401:
        raise ServerError(
            f"{_detail(page) or _not_ours(page)} Set ACCESS_TOKEN, or ACCESS_TOKEN_FILE, to it."
        )
    if page.status != 200:
        raise ServerError(_detail(page) or _not_ours(page))
    try:
        return page._replace(next_url=_next_url(url, response))
    except ValueError:
        raise ServerError(_not_ours(page)) from None


async def _get_over_live_connection(
    client: Client, url: URL, max_bytes: int
) -> tuple[aiohttp.ClientResponse, bytes]:
    """Retry for each kept connection that the server has closed: our output may have been blocked for long."""
    while True:
        with suppress(ConnectionEnded):
            async with client.get(url) as response:
                return response, await read_limited(response, max_bytes)


def _next_url(url: URL, response: aiohttp.ClientResponse) -> URL | None:
    """The next page: the query of the `Link` at the URL given, which a proxy may have rewritten. Raises ValueError."""
    link = response.links.get("next")
    return url.with_query(URL(link["url"]).query) if link else None


def _detail(response: _Response) -> str:
    """The detail of a problem as one printable line; empty if the response is no problem of ours."""
    try:
        detail = msgspec.json.decode(response.body, type=_Problem).detail
    except _DECODE_ERRORS:
        return ""
    return detail if detail.isprintable() else ""


def _rows(response: _Response) -> list[Row]:
    """The prices or candles of a response. Raises ServerError if it has anything else."""
    try:
        _timestamp_decoder.decode(response.body)
        rows = _decoder.decode(response.body)
    except _DECODE_ERRORS:
        raise ServerError(_not_ours(response)) from None
    if not all(_is_plain(cell) for row in rows for cell in (*row, *row.values())):
        raise ServerError(_not_ours(response))
    return rows


def _is_plain(cell: object) -> bool:
    """Whether a cell is a single value without terminal control characters."""
    return cell.isprintable() if isinstance(cell, str) else not isinstance(cell, list | dict)


def _not_ours(response: _Response) -> str:
    return f"{response.server} is not a btc-price-tracker: it returned HTTP {response.status} without prices"
