"""`history`: a server's prices or candles in the terminal or in a file, fetched over HTTP."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, TextIO

import aiohttp
import msgspec
from yarl import URL

from btc_price_tracker.masking import masked
from btc_price_tracker.outgoing.client import Client
from btc_price_tracker.outgoing.words import in_words

PATIENCE = 30.0  # seconds for a connection, and for each piece of an answer

Row = dict[str, Any]

_encoder = msgspec.json.Encoder(decimal_format="number")
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


class HistoryError(Exception):
    """What the server said instead of prices."""


def moment(text: str) -> int:
    """Seconds since the epoch, given as such or in ISO 8601 (UTC unless it says otherwise). Raises ValueError."""
    if text.isdecimal():
        return int(text)
    parsed = datetime.fromisoformat(text)
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


async def fetch(url: str, query: dict[str, str]) -> AsyncGenerator[list[Row]]:
    """The server's answers, one after the other as they lead on; candles where the query has an interval.

    Raises HistoryError where the server refuses, can't be reached or isn't one of ours, and OutgoingError.
    """
    path = "prices/candles" if "interval" in query else "prices"
    following: URL | None = (_base(url) / path).with_query({"limit": "10000", **query})
    patience = aiohttp.ClientTimeout(total=None, connect=PATIENCE, sock_read=PATIENCE)
    async with Client(patience, {"Accept-Encoding": "identity"}) as client:
        while following is not None:
            answer = await _get(client, following)
            yield _rows(answer)
            following = answer.following


async def write(pages: AsyncIterator[list[Row]], form: str, to: TextIO) -> None:
    """Write rows as a `table`, as `csv` with a header, or as one `json` array."""
    if form == "json":
        await _write_json(pages, to)
        return
    line = _table_line if form == "table" else _csv_line
    is_first = True
    async for page in pages:
        if is_first and page and form == "csv":
            to.write(",".join(page[0]) + "\n")
        is_first = False
        to.writelines(map(line, page))


def _base(url: str) -> URL:
    """The URL of the server, which may itself be below a path."""
    with suppress(ValueError):
        base = URL(url)
        if base.scheme in ("http", "https") and base.host:
            return base
    raise HistoryError(f"{masked(url)!r} is no URL of a server; give one like http://localhost:8082")


async def _get(client: Client, url: URL) -> _Answer:
    server = url.with_user(None).raw_authority  # host and port, as they were given
    try:
        async with client.get(url) as response:
            answer = _Answer(server, response.status, await response.read())
    except (aiohttp.ClientError, ValueError) as error:
        raise HistoryError(f"{server} can't be reached: {in_words(error)}") from None
    if answer.status != 200:
        raise HistoryError(_detail(answer) or _stranger(answer))
    try:
        return answer._replace(following=_following(url, response))
    except ValueError:
        raise HistoryError(_stranger(answer)) from None


def _following(url: URL, response: aiohttp.ClientResponse) -> URL | None:
    """Where the answer leads on: the query of its link, at the address that was given. Raises ValueError."""
    link = response.links.get("next")
    return url.with_query(URL(link["url"]).query) if link else None


def _detail(answer: _Answer) -> str:
    try:
        return msgspec.json.decode(answer.body, type=_Problem).detail
    except msgspec.MsgspecError:
        return ""


def _rows(answer: _Answer) -> list[Row]:
    """The prices or candles in an answer. Raises HistoryError where these are no such."""
    try:
        _stamps.decode(answer.body)
        return _decoder.decode(answer.body)
    except msgspec.MsgspecError:
        raise HistoryError(_stranger(answer)) from None


def _stranger(answer: _Answer) -> str:
    return f"{answer.server} is not a btc-price-tracker: it answered with HTTP {answer.status} and no prices"


async def _write_json(pages: AsyncIterator[list[Row]], to: TextIO) -> None:
    opening = "["
    async for page in pages:
        for row in page:
            to.write(f"{opening}{_encoder.encode(row).decode()}")
            opening = ",\n"
    to.write("[]\n" if opening == "[" else "]\n")


def _csv_line(row: Row) -> str:
    cells = (str(value).lower() if isinstance(value, bool) else str(value) for value in row.values())
    return ",".join(cells) + "\n"


def _table_line(row: Row) -> str:
    """The moment, the amounts in columns, then the rest."""
    time = datetime.fromtimestamp(row["timestamp"], UTC).isoformat(sep=" ")[:19]
    shown = [value for name, value in row.items() if name not in ("id", "timestamp", "method")]
    cells = [f"{value:>12,}" if isinstance(value, Decimal) else f"{value!s:>6}" for value in shown]
    return f"{time}  {'  '.join(cells)}\n"
