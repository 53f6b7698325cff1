import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from btc_price_tracker.fanout import sse
from btc_price_tracker.price.model import Status, Tick

TICK = Tick(1764000000123, Decimal("69420.10"), Status.OK, 5, Decimal("3.10"), 2123, "vote3-ped/1")


def lines(event: bytes) -> list[bytes]:
    """As the format splits them: at CR LF, CR or LF and nowhere else."""
    return re.split(rb"\r\n|\r|\n", event)


def only(frame: bytes) -> bytes:
    """The one event of a frame."""
    (event,) = sse.unchunk(frame)
    return event


def test_a_price_is_one_chunk_with_its_id_and_every_cent() -> None:
    event = (
        b"id: 1764000000123\n"
        b'data: {"timestamp":1764000000,"price":69420.10,"status":"ok","sources":5,"spread":3.10,'
        b'"age":2,"quote_age":2123,"method":"vote3-ped/1","id":1764000000123,"pair":"BTC/USD"}\n\n'
    )
    assert sse.price(TICK) == b"%x\r\n%b\r\n" % (len(event), event)


def test_a_recorded_price_says_so() -> None:
    assert b'"pair":"BTC/USD","recorded":true}' in sse.price(replace(TICK, recorded=True))


def test_the_other_events_have_names_of_their_own_and_no_id() -> None:
    assert only(sse.gap(5, 9)) == b'event: gap\ndata: {"from":5,"to":9}\n\n'
    assert only(sse.heartbeat(1764000000)) == b'event: heartbeat\ndata: {"timestamp":1764000000}\n\n'
    assert only(sse.retry(2345)) == b"retry: 2345\n\n"
    assert only(sse.status(Status.STALE, "Nobody answers.", 7)) == (
        b'event: status\ndata: {"status":"stale","reason":"Nobody answers.","timestamp":7}\n\n'
    )


def test_retry_joins_the_block_of_the_first_event() -> None:
    frames = sse.gap(5, 9) + sse.heartbeat(7)
    first, *rest = sse.unchunk(sse.with_retry(2345, frames))
    assert first == b"retry: 2345\n" + only(sse.gap(5, 9))
    assert rest == [only(sse.heartbeat(7))]


@given(st.text())
def test_no_reason_breaks_out_of_its_line(reason: str) -> None:
    name, data, *rest = lines(only(sse.status(Status.OK, reason, 7)))
    assert (name, rest) == (b"event: status", [b"", b""])
    assert msgspec.json.decode(data.removeprefix(b"data: "))["reason"] == reason


@given(st.lists(st.integers(0, 2**53)))
def test_unchunk_gives_back_every_event_whatever_their_sizes(numbers: list[int]) -> None:
    frames = [sse.gap(number, number**2 % 2**53) for number in numbers]
    assert list(sse.unchunk(b"".join(frames))) == [only(frame) for frame in frames]


@pytest.mark.parametrize("cut", range(1, len(sse.retry(2345))))
def test_a_frame_cut_short_anywhere_is_refused(cut: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(sse.unchunk(sse.gap(1, 2) + sse.retry(2345)[:cut]))
