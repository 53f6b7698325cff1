"""`history`: a server's prices or candles in the terminal or in a file, fetched over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

import httpx2
import msgspec

Row = dict[str, Any]

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(list[Row], float_hook=Decimal)  # cents stay exact


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

    Raises HistoryError where the server refuses or can't be reached.
    """
    path = "/prices/candles" if "interval" in query else "/prices"
    following: httpx2.URL | None = httpx2.URL(url).join(path).copy_merge_params({"limit": "10000", **query})
    with httpx2.Client(timeout=30) as client:
        while following is not None:
            answer = _get(client, following)
            yield _decoder.decode(answer.content)
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


def _get(client: httpx2.Client, url: httpx2.URL) -> httpx2.Response:
    try:
        answer = client.get(url)
    except httpx2.HTTPError as error:
        raise HistoryError(f"{url.host}:{url.port} can't be reached: {error}") from None
    if answer.status_code != 200:
        detail = answer.json().get("detail") if "json" in answer.headers.get("content-type", "") else ""
        raise HistoryError(detail or f"the server answered with HTTP {answer.status_code}")
    return answer


def _write_json(pages: Iterator[list[Row]], to: TextIO) -> None:
    opening = "["
    for page in pages:
        for row in page:
            to.write(f"{opening}{_encoder.encode(row).decode()}")
            opening = ",\n"
    to.write("[]\n" if opening == "[" else "]\n")


def _csv_line(row: Row) -> str:
    return ",".join(map(str, row.values())) + "\n"


def _table_line(row: Row) -> str:
    """The moment, the amounts in columns, then the rest."""
    time = datetime.fromtimestamp(row["timestamp"], UTC).isoformat(sep=" ")[:19]
    shown = [value for name, value in row.items() if name not in ("id", "timestamp", "method")]
    cells = [f"{value:>12,}" if isinstance(value, Decimal) else f"{value!s:>6}" for value in shown]
    return f"{time}  {'  '.join(cells)}\n"
