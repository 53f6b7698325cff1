"""Quotes are encoded losslessly and compactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from btc_price_tracker.price.model import AssessedQuote, Kind, QuoteState, Status, Tick
from btc_price_tracker.store.codec import decode_quotes, encode_quotes, pack, unpack

amounts = st.decimals(allow_nan=False, allow_infinity=False) | st.decimals(10_000, 99_999, places=2)
numbers = st.integers(-(2**40), 2**42)
FIELDS = {
    "source": st.text(max_size=20),
    "kind": st.sampled_from(Kind),
    "last": st.none() | amounts,
    "bid": st.none() | amounts,
    "ask": st.none() | amounts,
    "time": st.none() | numbers,
    "rate": st.none() | amounts,
    "age": st.none() | numbers,
    "price": st.none() | amounts,
    "confidence": st.none() | amounts,
    "used": st.booleans(),
    "reason": st.none() | st.text(max_size=40),
    "rate_from": st.none() | st.text(max_size=20),
    "state": st.none() | st.sampled_from(QuoteState),
}
quotes = st.lists(st.builds(AssessedQuote, **FIELDS), max_size=4).map(tuple)


def made_of(
    judged: tuple[AssessedQuote, ...], tick_id: int = 1_764_000_000_123, price: str = "69420.25"
) -> Tick:
    return Tick(tick_id, Decimal(price), Status.OK, 3, Decimal("3.10"), 0, "vote3/1", judged)


def test_strategy_covers_every_field_of_a_quote() -> None:
    assert [field.name for field in fields(AssessedQuote)] == list(FIELDS)


@given(quotes, st.integers(0, 2**42), st.sampled_from(["0.00", "0.01", "69420.25", "1000000.00"]))
def test_round_trip_preserves_exponents(judged: tuple[AssessedQuote, ...], tick_id: int, price: str) -> None:
    tick = made_of(judged, tick_id, price)
    assert repr(decode_quotes(encode_quotes(tick), tick_id, tick.price)) == repr(judged)


@given(amounts, amounts)
def test_amount_is_exact_for_any_reference(amount: Decimal, near: Decimal) -> None:
    assert repr(unpack(pack(amount, near), near)) == repr(amount)


def test_amount_beyond_int64_is_encoded_as_text() -> None:
    long = "69420.12345678901234567890123"
    too_far = "1E-18"
    for text in (long, too_far, "-0.00", "1E+40", "1E-40"):
        assert pack(Decimal(text), Decimal("69420.25")) == text


def test_long_amount_near_another_is_exact() -> None:
    amount, near = Decimal(10**70 + 1), Decimal(10**70)
    assert unpack(pack(amount, near), near) == amount


def test_amount_of_the_same_exponent_is_encoded_as_difference() -> None:
    assert pack(Decimal("69420.30"), Decimal("69420.25")) == 5
    assert pack(Decimal("69420.3"), Decimal("69420.25")) == (-1, 1)


def venue(name: str, number: int, places: str) -> AssessedQuote:
    last = (Decimal("69420.25") + number * Decimal("7.13579")).quantize(Decimal(places))
    return AssessedQuote(
        source=name,
        kind=Kind.EXCHANGE,
        last=last,
        bid=last - Decimal("1.37").quantize(Decimal(places)),
        ask=last + Decimal("2.91").quantize(Decimal(places)),
        time=1_764_000_000_123 - 1517 * number,
        rate=Decimal("0.99987"),
        age=1517 * number,
        price=last + Decimal("0.77"),
        confidence=Decimal("34.711") + number,
        used=True,
    )


def test_five_complete_quotes_take_at_most_200_bytes() -> None:
    places = {"coinbase": "0.01", "kraken": "0.00001", "bitstamp": "1", "gemini": "0.01", "binance": "1e-8"}
    judged = tuple(venue(name, number, at) for number, (name, at) in enumerate(places.items()))
    assert len(encode_quotes(made_of(judged))) <= 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x02" + encode_quotes(made_of(()))[1:],
        b"\x01",
        b"\x01garbage",
        encode_quotes(made_of((AssessedQuote(source="kraken", kind=Kind.EXCHANGE),)))[:-3],
    ],
)
def test_invalid_record_raises(body: bytes) -> None:
    with pytest.raises(ValueError, match="quotes"):
        decode_quotes(body, 1, Decimal(1))
