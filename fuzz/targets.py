"""What is fuzzed: functions of arbitrary bytes, which raise only where there is a bug.

Bytes come from sources, from files to import, from clients and from a broker; each target says which errors are due.
"""

import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from btc_price_tracker.broker import codec
from btc_price_tracker.errors import InvalidMessage, RateLimited, RecordError, SourceError
from btc_price_tracker.price.model import AssessedQuote, Kind, Quote, Status, Tick, Update
from btc_price_tracker.price.parameters import METHOD
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.headers import age, source_time
from btc_price_tracker.sources.quoting import BITCOIN, GENESIS, HORIZON
from btc_price_tracker.sources.response import MAX_BAN, read
from btc_price_tracker.store.csv_records import COLUMNS, csv_line, read_csv
from btc_price_tracker.store.json_records import json_line, read_json
from btc_price_tracker.store.records import lines_of
from requests_target import answer

RECORDINGS = Path(__file__).parents[1] / "tests" / "recordings"
NOW = 1_800_000_000_000  # ms since the epoch
ALL_SOURCES = tuple(SOURCES.values())

MAX_SEED = 4096  # bytes
REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /prices/stream?since=1 HTTP/1.0\r\nLast-Event-ID: 5\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcHEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n0\r\na: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nmore",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nOrigin: null\r\nConnection: close\r\n\r\n",
)

_CSV_HEADER = ",".join(COLUMNS)
_QUOTE = AssessedQuote("kraken", Kind.EXCHANGE, last=Decimal("69420.10"), used=True)
_TICK = Tick(
    1_764_000_000_123, Decimal("69420.10"), Status.OK, 1, Decimal("3.10"), 250, METHOD, quotes=(_QUOTE,)
)
_UPDATE = Update(Status.OK, "one exchange", _TICK)

Target = Callable[[bytes], None]


def source(data: bytes) -> None:
    """The body of a response: the first byte chooses the source."""
    definition = ALL_SOURCES[data[0] % len(ALL_SOURCES)] if data else ALL_SOURCES[0]
    try:
        _check_quote(definition.parse(data[1:]))
    except SourceError as error:
        _check_text(str(error))


def response(data: bytes) -> None:
    """A response: source, status, then a line for each of its headers about time, then the body."""
    definition = ALL_SOURCES[data[0] % len(ALL_SOURCES)] if data else ALL_SOURCES[0]
    *lines, body = (data[2:].split(b"\n", 4) + [b""] * 5)[:5]
    names = ("date", "age", "retry-after", "content-encoding")
    headers = {name: line.decode("utf-8", "surrogateescape") for name, line in zip(names, lines, strict=True)}
    status = 200 + 3 * data[1] if len(data) > 1 else 200
    source_time(headers)
    assert age(headers) >= 0
    try:
        _check_quote(read(SourceResponse(status, headers, body), definition.parse, NOW))
    except SourceError as error:
        _check_text(str(error))
        _check_pause(error)


def csv_import(data: bytes) -> None:
    """A CSV file. What was read is written and read again as it was."""
    try:
        ticks = list(read_csv(lines_of(_text(data)), NOW))
    except RecordError:
        return
    again = io.StringIO(f"{_CSV_HEADER}\n{''.join(map(csv_line, ticks))}")
    assert list(read_csv(lines_of(again), NOW)) == ticks


def json_import(data: bytes) -> None:
    """A file of JSON lines, as above."""
    try:
        ticks = list(read_json(lines_of(_text(data)), NOW))
    except RecordError:
        return
    assert list(read_json(map(json_line, ticks), NOW)) == ticks


def message(data: bytes) -> None:
    """A message from a broker: as it came, and as the contents of a valid frame."""
    for each in (data, codec.VERSION + _deflated(data)):
        with suppress(InvalidMessage):
            codec.decode(each)


def _check_quote(quote: Quote) -> None:
    """Whether it is one that may be believed."""
    prices = [price for price in (quote.last, quote.bid, quote.ask) if price is not None]
    assert prices
    assert all(type(price) is Decimal and BITCOIN.low <= price <= BITCOIN.high for price in prices)
    assert quote.bid is None or quote.ask is None or quote.bid < quote.ask
    assert quote.time is None or GENESIS <= quote.time <= HORIZON


def _check_pause(error: SourceError) -> None:
    if isinstance(error, RateLimited) and error.retry_after is not None:
        assert 0 <= error.retry_after <= MAX_BAN


def _check_text(text: str) -> None:
    assert 0 < len(text) <= SourceError.MAX_LENGTH
    assert text.isascii()
    assert text.isprintable()


def _text(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig")


def _deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush()


def seeds(name: str) -> Iterator[bytes]:
    """Valid inputs for a target."""
    match name:
        case "source" | "response":
            head = b"" if name == "source" else b"\0Mon, 24 Nov 2025 16:00:00 GMT\n30\n119\ngzip\n"
            for number, definition in enumerate(ALL_SOURCES):
                for path in sorted((RECORDINGS / definition.name).glob("*.json")):
                    if path.stat().st_size < MAX_SEED and ".meta." not in path.name:
                        yield bytes([number]) + head + path.read_bytes()
        case "csv_import":
            yield f"{_CSV_HEADER}\n{csv_line(_TICK)}".encode()
        case "json_import":
            yield json_line(_TICK).encode()
        case "message":
            yield codec.encode(_UPDATE)
            yield zlib.decompress(codec.encode(_UPDATE)[1:], -15)
        case "request":
            yield from REQUESTS


TARGETS: Mapping[str, Target] = MappingProxyType(
    {each.__name__: each for each in (source, response, csv_import, json_import, message)}
    | {"request": answer}
)
