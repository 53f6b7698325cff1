"""Lossless binary encoding of quotes, about 30 bytes each.

A record is a version byte and then, for version 1, raw deflate over msgpack: an array of quotes, each an
array of fields. Two things make it small. Amounts are encoded as differences from a nearby one (a venue's
`last` from the tick's price, its `bid` from its `last`), times as differences from the tick's id. And
deflate starts from a dictionary of strings that most records contain.

The exponent of an amount is preserved: 1.5 and 1.50 stay distinct.
"""

import zlib
from decimal import Context, Decimal

from msgspec import DecodeError, Struct, msgpack
from msgspec.structs import replace

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import AssessedQuote, Kind, QuoteState, Tick

VERSION = b"\x01"

# Part of version 1: never change it. What is nearest to the end is cheapest to refer to.
_DICTIONARY = (
    b"no live USDT/USD rate\xaablockchain_info\xabcoinpaprika\xa9coingecko\xaaaggregator\xc2"
    b"\xa3okx\xa8bitfinex\xa9binanceus\xa7binance\xa6gemini\xa8bitstamp\xa6kraken\xa8coinbase\xa8exchange\xc0\xc3\xc0"
)
_WINDOW = -12  # raw deflate with 4 KiB: enough for a record and the dictionary, and quick to initialise

# Units of the reference amount's exponent, or (exponent, units), or text.
Packed = int | tuple[int, int] | str | None
_DIGITS = 18  # longer amounts and exponents are encoded as text: int64 and _WIDE hold the others exactly
_WIDE = Context(prec=60)
_ZERO, _ONE = Decimal(0), Decimal(1)


class _Record(Struct, array_like=True, frozen=True):
    """An encoded AssessedQuote; the order of the fields is part of the format."""

    source: str
    kind: Kind
    last: Packed
    bid: Packed
    ask: Packed
    delay: int | None  # tick id minus time, ms
    rate: Packed
    age: int | None
    price: Packed
    confidence: Packed
    used: bool
    reason: str | None
    rate_from: str | None = None  # this and the next are absent in records of older versions
    state: QuoteState | None = None


_DECODER = msgpack.Decoder(list[_Record])


def encode_quotes(tick: Tick) -> bytes:
    """Encode the quotes of a tick; decoding needs the same id and price."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, 5, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    records = [_record(quote, tick) for quote in tick.quotes]
    return VERSION + deflate.compress(msgpack.encode(records)) + deflate.flush()


def decode_quotes(body: bytes, tick_id: int, price: Decimal) -> tuple[AssessedQuote, ...]:
    """Decode the quotes of the tick with this id and price. Raises ValueError on anything but a valid record."""
    if body[:1] != VERSION:
        raise ValueError(f"quotes in an unknown format: {body[:1].hex() or 'empty'}")
    inflate = zlib.decompressobj(_WINDOW, _DICTIONARY)
    try:
        records = _DECODER.decode(inflate.decompress(body[1:]))
        return tuple(_quote(record, tick_id, price) for record in records)
    except (zlib.error, DecodeError, ArithmeticError) as error:
        raise ValueError(f"quotes can't be decoded: {error}") from error


def with_quotes(tick: Tick, body: bytes | None) -> Tick:
    """The tick with the quotes that are stored for it, if any. Raises StoreError where they can't be decoded."""
    if body is None:
        return tick
    try:
        return replace(tick, quotes=decode_quotes(body, tick.id, tick.price))
    except ValueError as error:
        raise StoreError(f"tick {tick.id}: {error}") from error


def _record(quote: AssessedQuote, tick: Tick) -> _Record:
    near = tick.price if quote.last is None else quote.last
    return _Record(
        source=quote.source,
        kind=quote.kind,
        last=pack(quote.last, tick.price),
        bid=pack(quote.bid, near),
        ask=pack(quote.ask, near),
        delay=None if quote.time is None else tick.id - quote.time,
        rate=pack(quote.rate, _ONE),
        age=quote.age,
        price=pack(quote.price, near),
        confidence=pack(quote.confidence, _ZERO),
        used=quote.used,
        reason=quote.reason,
        rate_from=quote.rate_from,
        state=quote.state,
    )


def _quote(record: _Record, tick_id: int, price: Decimal) -> AssessedQuote:
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
    """Encode an amount as its difference from the reference amount `near`."""
    if amount is None:
        return None
    if not _is_plain(amount):
        return str(amount)
    near = _reference(near)
    exponent = _exponent(amount)
    distance = _units(amount, exponent) - _units(near, exponent)
    if abs(distance) >= 2**63:
        return str(amount)
    return distance if exponent == _exponent(near) else (exponent, distance)


def unpack(packed: Packed, near: Decimal) -> Decimal | None:
    """Decode an amount that pack() encoded with the same `near`."""
    if packed is None:
        return None
    if isinstance(packed, str):
        return Decimal(packed)
    near = _reference(near)
    exponent, distance = packed if isinstance(packed, tuple) else (_exponent(near), packed)
    return Decimal(distance + _units(near, exponent)).scaleb(exponent, _WIDE)


def _is_plain(amount: Decimal) -> bool:
    """Whether an int64 and a short exponent represent the amount exactly; they don't for negative zero."""
    sign, digits, exponent = amount.as_tuple()
    is_short = isinstance(exponent, int) and abs(exponent) <= _DIGITS and len(digits) <= _DIGITS
    return is_short and not (sign and amount.is_zero())


def _reference(near: Decimal) -> Decimal:
    return near if _is_plain(near) else _ZERO


def _exponent(plain: Decimal) -> int:
    return int(plain.as_tuple().exponent)


def _units(plain: Decimal, exponent: int) -> int:
    """The amount in units of 10^exponent, rounded towards zero."""
    return int(plain.scaleb(-exponent, _WIDE))
