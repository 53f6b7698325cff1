"""Quotes as bytes: about 30 a quote, and exactly what was put in comes out.

A record is a version byte and then, for version 1, raw deflate over msgpack: an array of quotes, each an
array of fields. Two things make it small. Amounts are written as their distance from a nearby one (a venue's
`last` from the tick's price, its `bid` from its `last`), times as their distance from the tick's id. And
deflate starts from a dictionary of words that most records hold.

An amount is exact to its exponent: 1.5 and 1.50 stay two different things.
"""

import zlib
from decimal import Context, Decimal

from msgspec import DecodeError, Struct, msgpack
from msgspec.structs import replace

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import AssessedQuote, Kind, QuoteState, Tick

VERSION = b"\x01"

# Part of version 1: never change it. What stands at the end is cheapest to refer to.
_WORDS = (
    b"no live USDT/USD rate\xaablockchain_info\xabcoinpaprika\xa9coingecko\xaaaggregator\xc2"
    b"\xa3okx\xa8bitfinex\xa9binanceus\xa7binance\xa6gemini\xa8bitstamp\xa6kraken\xa8coinbase\xa8exchange\xc0\xc3\xc0"
)
_WINDOW = -12  # raw deflate, 4 KiB: a record and the dictionary fit, and setting it up costs little

# Units at the near amount's exponent, or at an exponent of its own (exponent, units), or as text.
Packed = int | tuple[int, int] | str | None
_DIGITS = 18  # longer amounts and exponents go as text: int64 and _WIDE hold all others without rounding
_WIDE = Context(prec=60)
_ZERO, _ONE = Decimal(0), Decimal(1)


class _Record(Struct, array_like=True, frozen=True):
    """A AssessedQuote on its way to bytes; the order of the fields is the format."""

    source: str
    kind: Kind
    last: Packed
    bid: Packed
    ask: Packed
    delay: int | None  # tick id less time, ms
    rate: Packed
    age: int | None
    price: Packed
    confidence: Packed
    used: bool
    reason: str | None
    rate_from: str | None = None  # this and the next are left out by older versions
    state: QuoteState | None = None


_DECODER = msgpack.Decoder(list[_Record])


def encode_quotes(tick: Tick) -> bytes:
    """The tick's quotes; they can be read again only beside the same id and price."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, 5, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    records = [_record(judged, tick) for judged in tick.quotes]
    return VERSION + deflate.compress(msgpack.encode(records)) + deflate.flush()


def decode_quotes(body: bytes, tick_id: int, price: Decimal) -> tuple[AssessedQuote, ...]:
    """The quotes of the tick with this id and price. Raises ValueError on what encode_quotes didn't write."""
    if body[:1] != VERSION:
        raise ValueError(f"quotes in an unknown format, {body[:1].hex() or 'empty'}")
    inflate = zlib.decompressobj(_WINDOW, _WORDS)
    try:
        records = _DECODER.decode(inflate.decompress(body[1:]))
        return tuple(_judged(record, tick_id, price) for record in records)
    except (zlib.error, DecodeError, ArithmeticError) as error:
        raise ValueError(f"quotes can't be decoded: {error}") from error


def with_quotes(tick: Tick, body: bytes | None) -> Tick:
    """The tick with the quotes that its store keeps, if any. Raises StoreError where these can't be decoded."""
    if body is None:
        return tick
    try:
        return replace(tick, quotes=decode_quotes(body, tick.id, tick.price))
    except ValueError as error:
        raise StoreError(f"tick {tick.id}: {error}") from error


def _record(judged: AssessedQuote, tick: Tick) -> _Record:
    near = tick.price if judged.last is None else judged.last
    return _Record(
        source=judged.source,
        kind=judged.kind,
        last=pack(judged.last, tick.price),
        bid=pack(judged.bid, near),
        ask=pack(judged.ask, near),
        delay=None if judged.time is None else tick.id - judged.time,
        rate=pack(judged.rate, _ONE),
        age=judged.age,
        price=pack(judged.price, near),
        confidence=pack(judged.confidence, _ZERO),
        used=judged.used,
        reason=judged.reason,
        rate_from=judged.rate_from,
        state=judged.state,
    )


def _judged(record: _Record, tick_id: int, price: Decimal) -> AssessedQuote:
    last = unpack(record.last, price)
    near = price if last is None else last
    return AssessedQuote(
        source=record.source,
        kind=record.kind,
        last=last,
        bid=unpack(record.bid, near),
        ask=unpack(record.ask, near),
        time=None if record.delay is None else tick_id - record.delay,
        rate=unpack(record.rate, _ONE),
        age=record.age,
        price=unpack(record.price, near),
        confidence=unpack(record.confidence, _ZERO),
        used=record.used,
        reason=record.reason,
        rate_from=record.rate_from,
        state=record.state,
    )


def pack(amount: Decimal | None, near: Decimal) -> Packed:
    """The amount as its distance from `near`."""
    if amount is None:
        return None
    if not _is_plain(amount):
        return str(amount)
    near = _anchor(near)
    exponent = _exponent(amount)
    distance = _units(amount, exponent) - _units(near, exponent)
    if abs(distance) >= 2**63:
        return str(amount)
    return distance if exponent == _exponent(near) else (exponent, distance)


def unpack(packed: Packed, near: Decimal) -> Decimal | None:
    """The amount that pack() was given, beside the same `near`."""
    if packed is None:
        return None
    if isinstance(packed, str):
        return Decimal(packed)
    near = _anchor(near)
    exponent, distance = packed if isinstance(packed, tuple) else (_exponent(near), packed)
    return Decimal(distance + _units(near, exponent)).scaleb(exponent, _WIDE)


def _is_plain(amount: Decimal) -> bool:
    """Is it a number of ordinary length that an integer and an exponent hold? Negative zero isn't."""
    sign, digits, exponent = amount.as_tuple()
    is_short = isinstance(exponent, int) and abs(exponent) <= _DIGITS and len(digits) <= _DIGITS
    return is_short and not (sign and amount.is_zero())


def _anchor(near: Decimal) -> Decimal:
    return near if _is_plain(near) else _ZERO


def _exponent(plain: Decimal) -> int:
    return int(plain.as_tuple().exponent)


def _units(plain: Decimal, exponent: int) -> int:
    """Whole units of 10^exponent, cut off below."""
    return int(plain.scaleb(-exponent, _WIDE))
