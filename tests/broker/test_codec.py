"""Updates as bytes, and what else a broker may hold."""

import zlib
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack
from structlog.testing import capture_logs

from broker.updates import START, with_tick, without_tick
from btc_price_tracker.broker import codec
from btc_price_tracker.broker.codec import Inbox, decode, encode
from btc_price_tracker.errors import InvalidMessage
from btc_price_tracker.price.model import (
    AssessedQuote,
    Kind,
    Quote,
    SourceState,
    Stages,
    State,
    Status,
    Tick,
    Update,
)

amounts = st.decimals(allow_nan=False, allow_infinity=False)
numbers = st.integers(-(2**62), 2**63)
quotes = st.builds(
    AssessedQuote,
    source=st.text(max_size=20),
    kind=st.sampled_from(Kind),
    last=amounts | st.none(),
    bid=amounts | st.none(),
    time=numbers | st.none(),
    confidence=amounts | st.none(),
    reason=st.text() | st.none(),
)
ticks = st.builds(
    Tick,
    id=numbers,
    price=amounts,
    status=st.sampled_from(Status),
    sources=st.integers(0, 9),
    spread=amounts,
    quote_age=numbers,
    method=st.text(max_size=20),
    quotes=st.lists(quotes, max_size=3).map(tuple),
)
states = st.builds(
    SourceState,
    name=st.text(max_size=20),
    kind=st.sampled_from(Kind),
    state=st.sampled_from(State),
    quote=st.builds(Quote, amounts) | st.none(),
    received_at=numbers,
    latency=st.floats(allow_nan=False) | st.none(),
    next_try=st.floats(allow_nan=False),
    spacing=st.floats(allow_nan=False),
    error=st.text() | st.none(),
    calls=numbers,
    failures=numbers,
)
updates = st.builds(
    Update,
    status=st.sampled_from(Status),
    reason=st.text(),
    tick=ticks | st.none(),
    quotes=st.lists(quotes, max_size=3).map(tuple),
    sources=st.lists(states, max_size=3).map(tuple),
    silence=numbers | st.none(),
    stages=st.builds(Stages, numbers, numbers, numbers),
    term=numbers,
    trace=st.text() | st.none(),
)


@given(updates)
def test_what_went_in_comes_out(update: Update) -> None:
    decoded = decode(encode(update))
    assert decoded == update
    assert repr(decoded) == repr(update)  # 1.5 and 1.50 are equal


def test_quotes_of_a_tick_travel_once() -> None:
    update = with_tick(START)
    assert update.tick is not None
    assert decode(encode(update)) == update
    assert len(encode(update)) < 400


@given(st.binary())
def test_anything_else_is_an_invalid_message(message: bytes) -> None:
    for garbage in (message, codec.VERSION + message):
        with pytest.raises(InvalidMessage):
            decode(garbage)


@given(st.data())
def test_damaged_message_is_an_update_or_invalid(data: st.DataObject) -> None:
    message = bytearray(encode(with_tick(START)))
    message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(InvalidMessage):
        assert isinstance(decode(bytes(message)), Update)


def packed(fields: object) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    return codec.VERSION + deflate.compress(msgpack.encode(fields)) + deflate.flush()


def test_fields_of_later_versions_are_ignored() -> None:
    update = {"status": "ok", "reason": "ok", "mood": "new", "stages": {"polled": 1, "slept": 2}}
    decoded = decode(packed({"update": update, "wrapping": [1]}))
    assert decoded == Update(Status.OK, "ok", stages=Stages(1))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"", "version byte missing"),
        (b"\x02rest", "version byte 02"),
        (codec.VERSION + b"\xff\xff", "no update"),
        (encode(without_tick("x"))[:-1], "truncated"),
        (encode(without_tick("x")) + b"x", "followed by other data"),
        (packed("a" * 2 * codec.MAX_BYTES), "larger than 1048576 bytes"),
        (packed({"update": {"status": "great", "reason": ""}}), "no update: Invalid enum value 'great'"),
    ],
)
def test_reason_is_named(message: bytes, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        decode(message)


def test_too_large_update_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="more than 1048576"):
        encode(without_tick("x" * codec.MAX_BYTES))


def test_ignored_messages_are_logged_once_for_each_reason() -> None:
    inbox = Inbox()
    with capture_logs() as logs:
        assert inbox.read(b"", "1-0", 1) is None
        assert inbox.read(b"", "2-0", 2) is None
        assert inbox.read(encode(with_tick(START)), "3-0", 3) is None
        assert inbox.read(None, "4-0", 4) is None
        assert inbox.read(encode(with_tick(START)), "5-0", START) == with_tick(START)
    event = {"event": "broker message ignored", "log_level": "warning"}
    assert logs == [
        {**event, "reason": "unknown format (version byte missing)", "id": "1-0"},
        {**event, "reason": "it holds the tick of another id", "id": "3-0"},
        {**event, "reason": "no such field", "id": "4-0"},
    ]


def test_decimals_are_exact() -> None:
    price = Decimal("90000.10")
    quote = AssessedQuote("kraken", Kind.EXCHANGE, last=price)
    assert str(decode(encode(Update(Status.OK, "", quotes=(quote,)))).quotes[0].last) == "90000.10"
