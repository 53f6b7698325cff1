"""`history`: a server's prices or candles, fetched over HTTP."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, NamedTuple

import aiohttp
import msgspec
from yarl import URL

from btc_price_tracker.cli.tables import Row
from btc_price_tracker.errors import ServerError
from btc_price_tracker.http_client.client import Client, read_limited
from btc_price_tracker.http_client.errors import ConnectionEnded, ResponseTooLarge, describe_error
from btc_price_tracker.settings import load_address
from btc_price_tracker.telemetry.masking import masked

PATIENCE = 30.0  # seconds for a connection, and for each piece of an answer
LIMIT = 10_000  # rows to an answer, the most a server gives
MAX_BYTES = 2**24  # of an answer: ours have some 150 a row

_AGO = re.compile(r"-([0-9]{1,9})([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_GARBLED = (msgspec.MsgspecError, RecursionError)  # the latter where it is nested without end
_decoder = msgspec.json.Decoder(list[Row], float_hook=Decimal)  # cents stay exact


class _Stamped(msgspec.Struct):
    """What prices and candles have in common."""

    timestamp: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]  # the year 9999


class _Problem(msgspec.Struct):
    detail: str


_stamps = msgspec.json.Decoder(list[_Stamped])


class _Answer(NamedTuple):
    server: str
    status: int
    body: bytes
    following: URL | None = None  # where it goes on


def moment(text: str, now: int) -> int:
    """Seconds since the epoch, given as such, in ISO 8601 (UTC unless it says otherwise), or as -1h: before `now`.

    Raises ValueError and OverflowError.
    """
    if ago := _AGO.fullmatch(text):
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
    """The URL of the server: as given, else where HOST and PORT say that it listens, by flag or environment.

    Raises ServerError where two are given, and SettingsError.
    """
    urls = [flags[name] for name in ("url", "url_flag") if name in flags]
    if len(urls) > 1:
        raise ServerError("the URL of the server is given twice; leave one out")
    address = {name: flags[name] for name in ("host", "port") if name in flags}
    return urls[0] if urls else load_address(address).url()


async def fetch(url: str, query: dict[str, str]) -> AsyncGenerator[list[Row]]:
    """The server's answers, one after the other as they lead on; candles where the query has an interval.

    Raises ServerError where the server refuses, can't be reached or isn't one of ours, and HttpClientError.
    """
    path = "prices/candles" if "interval" in query else "prices"
    following: URL | None = (_base(url) / path).with_query({"limit": str(LIMIT), **query})
    asked: set[URL] = set()
    patience = aiohttp.ClientTimeout(total=None, connect=PATIENCE, sock_read=PATIENCE)
    async with Client(patience, {"Accept-Encoding": "identity"}) as client:
        while following is not None:
            answer = await _get(client, following)
            asked.add(following)
            if answer.following in asked:
                raise ServerError(f"{answer.server} is not a btc-price-tracker: its answers lead in a circle")
            yield _rows(answer)
            following = answer.following


def _base(url: str) -> URL:
    """The URL of the server, which may itself be below a path."""
    with suppress(ValueError):
        base = URL(url)
        if base.scheme in ("http", "https") and base.host:
            return base
    raise ServerError(f"{masked(url)!r} is no URL of a server; give one like http://localhost:8082")


async def _get(client: Client, url: URL) -> _Answer:
    server = url.with_user(None).raw_authority  # host and port, as they were given
    try:
        response, body = await _persist(client, url)
    except ResponseTooLarge:
        raise ServerError(
            f"{server} is not a btc-price-tracker: its answer has more than {MAX_BYTES:,} bytes"
        ) from None
    except (aiohttp.ClientError, ValueError) as error:
        raise ServerError(f"{server} can't be reached: {describe_error(error)}") from None
    answer = _Answer(server, response.status, body)
    if answer.status != 200:
        raise ServerError(_detail(answer) or _stranger(answer))
    try:
        return answer._replace(following=_following(url, response))
    except ValueError:
        raise ServerError(_stranger(answer)) from None


async def _persist(client: Client, url: URL) -> tuple[aiohttp.ClientResponse, bytes]:
    """Ask, and again for each kept connection that has ended: a reader of what we write may take its time."""
    while True:
        with suppress(ConnectionEnded):
            async with client.get(url) as response:
                return response, await read_limited(response, MAX_BYTES)


def _following(url: URL, response: aiohttp.ClientResponse) -> URL | None:
    """Where the answer leads on: the query of its link, at the address that was given. Raises ValueError."""
    link = response.links.get("next")
    return url.with_query(URL(link["url"]).query) if link else None


def _detail(answer: _Answer) -> str:
    """What a server of ours says went wrong, on one line; nothing where it is none."""
    try:
        detail = msgspec.json.decode(answer.body, type=_Problem).detail
    except _GARBLED:
        return ""
    return detail if detail.isprintable() else ""


def _rows(answer: _Answer) -> list[Row]:
    """The prices or candles in an answer. Raises ServerError where these are no such."""
    try:
        _stamps.decode(answer.body)
        rows = _decoder.decode(answer.body)
    except _GARBLED:
        raise ServerError(_stranger(answer)) from None
    if not all(_is_plain(cell) for row in rows for cell in (*row, *row.values())):
        raise ServerError(_stranger(answer))
    return rows


def _is_plain(cell: object) -> bool:
    """Whether it is a single value, and nothing that would move a terminal's cursor."""
    return cell.isprintable() if isinstance(cell, str) else not isinstance(cell, list | dict)


def _stranger(answer: _Answer) -> str:
    return f"{answer.server} is not a btc-price-tracker: it answered with HTTP {answer.status} and no prices"
