"""`history`: a server's prices or candles in the terminal or in a file, fetched over HTTP."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TextIO

import httpx2
import msgspec

from btc_price_tracker.masking import masked
from btc_price_tracker.outgoing import DIRECT, in_words

Row = dict[str, Any]

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(list[Row], float_hook=Decimal)  # cents stay exact


class _Stamped(msgspec.Struct):
    """What prices and candles have in common."""

    timestamp: Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]  # the year 9999


class _Problem(msgspec.Struct):
    detail: str


_stamps = msgspec.json.Decoder(list[_Stamped])


class HistoryError(Exception):
    """What the server said instead of prices."""


def moment(text: str) -> int:
    """Seconds since the epoch, given as such or in ISO 8601 (UTC unless it says otherwise). Raises ValueError."""
    if text.isdecimal():
        return int(text)
    parsed = datetime.fromisoformat(text)
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


def fetch(url: str, query: dict[str, str]) -> Iterator[list[Row]]:
    """The server's answers, one after the other as they lead on; candles where the query has an interval.

    Raises HistoryError where the server refuses, can't be reached or isn't one of ours, and OutgoingError.
    """
    path = "/prices/candles" if "interval" in query else "/prices"
    following: httpx2.URL | None = _base(url, path).copy_merge_params({"limit": "10000", **query})
    with in_words():
        client = httpx2.Client(timeout=30, mounts=DIRECT)
    with client:
        while following is not None:
            answer = _get(client, following)
            yield _rows(answer)
            link = answer.links.get("next")
            following = following.copy_with(query=httpx2.URL(link["url"]).query) if link else None


def write(pages: Iterator[list[Row]], form: str, to: TextIO) -> None:
    """Write rows as a `table`, as `csv` with a header, or as one `json` array."""
    if form == "json":
        _write_json(pages, to)
        return
    line = _table_line if form == "table" else _csv_line
    for number, page in enumerate(pages):
        if number == 0 and page and form == "csv":
            to.write(",".join(page[0]) + "\n")
        to.writelines(map(line, page))


def _base(url: str, path: str) -> httpx2.URL:
    """The URL of a path of the server, which may itself be below a path."""
    with suppress(httpx2.InvalidURL):
        base = httpx2.URL(url)
        if base.scheme in ("http", "https") and base.host:
            return base.copy_with(path=base.path.rstrip("/") + path, query=None, fragment=None)
    raise HistoryError(f"{masked(url)!r} is no URL of a server; give one like http://localhost:8082")


def _get(client: httpx2.Client, url: httpx2.URL) -> httpx2.Response:
    try:
        answer = client.get(url)
    except httpx2.HTTPError as error:
        raise HistoryError(f"{_name(url)} can't be reached: {error}") from None
    if answer.status_code != 200:
        raise HistoryError(_detail(answer) or _stranger(answer))
    return answer


def _detail(answer: httpx2.Response) -> str:
    try:
        return msgspec.json.decode(answer.content, type=_Problem).detail
    except msgspec.MsgspecError:
        return ""


def _rows(answer: httpx2.Response) -> list[Row]:
    """The prices or candles in an answer. Raises HistoryError where these are no such."""
    try:
        _stamps.decode(answer.content)
        return _decoder.decode(answer.content)
    except msgspec.MsgspecError:
        raise HistoryError(_stranger(answer)) from None


def _stranger(answer: httpx2.Response) -> str:
    return f"{_name(answer.url)} is not a btc-price-tracker: it answered with HTTP {answer.status_code} and no prices"


def _name(url: httpx2.URL) -> str:
    return url.netloc.decode()  # host and port, as they were given


def _write_json(pages: Iterator[list[Row]], to: TextIO) -> None:
    opening = "["
    for page in pages:
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
