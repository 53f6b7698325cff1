"""How responses are interpreted: statuses, headers, and the message of each error."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.errors import (
    Banned,
    InvalidQuote,
    RateLimited,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.response import MAX_BAN, MAX_PAUSE, read

RECEIVED_AT = 1_764_000_000_000  # Mon, 24 Nov 2025 16:00:00 GMT
PRICE = Decimal(90_000)


def parse(body: bytes) -> Quote:
    """The parser of a made-up source: `price`, `price at TIME`, `no: REASON`, `too often`; else no quote."""
    match body.split(b" "):
        case [b"price"]:
            return Quote(PRICE)
        case [b"price", b"at", time]:
            return Quote(PRICE, time=int(time))
        case [b"no:", *_]:
            raise SourceRefused(body.decode())
        case [b"too", b"often", b"for", seconds]:
            raise RateLimited("too often", float(seconds))
        case [b"too", b"often", *_]:
            raise RateLimited("too often")
    raise InvalidQuote("the body is not JSON")


def fault_of(status: int, body: bytes = b"<html>", **headers: str) -> SourceError:
    response = SourceResponse(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body
    )
    with pytest.raises(SourceError) as caught:
        read(response, parse, RECEIVED_AT)
    return caught.value


def retry_after(status: int = 429, body: bytes = b"", **headers: str) -> float | None:
    fault = fault_of(status, body, **headers)
    assert isinstance(fault, RateLimited)
    return fault.retry_after


def test_status_200_gives_the_parsers_result() -> None:
    assert read(SourceResponse(200, {}, b"price"), parse, RECEIVED_AT) == Quote(PRICE)
    assert type(fault_of(200)) is InvalidQuote
    assert str(fault_of(200, b"no: maintenance")) == "no: maintenance"
    assert isinstance(fault_of(200, b"too often"), RateLimited)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (204, SourceRefused, "HTTP 204"),
        (301, SourceRefused, "HTTP 301: redirects are not followed"),
        (304, SourceRefused, "HTTP 304"),
        (307, SourceRefused, "HTTP 307: redirects are not followed"),
        (400, SourceRefused, "HTTP 400"),
        (401, SourceRefused, "HTTP 401"),
        (402, Banned, "HTTP 402: free quota used up"),
        (403, Banned, "HTTP 403: this address is blocked"),
        (404, SourceRefused, "HTTP 404"),
        (418, Banned, "HTTP 418: banned for too many requests"),
        (429, RateLimited, "HTTP 429: too many requests"),
        (451, Banned, "HTTP 451: not available in this region"),
        (500, SourceUnavailable, "HTTP 500"),
        (502, SourceUnavailable, "HTTP 502"),
        (503, SourceUnavailable, "HTTP 503"),
        (520, SourceUnavailable, "HTTP 520"),
        (999, SourceUnavailable, "HTTP 999"),
    ],
)
def test_other_statuses_are_errors_with_their_meaning(status: int, kind: type, message: str) -> None:
    fault = fault_of(status)
    assert type(fault) is kind
    assert str(fault) == message


def test_a_price_with_an_error_status_is_ignored() -> None:
    assert type(fault_of(404, b"price")) is SourceRefused


def test_an_error_message_in_the_body_is_included() -> None:
    assert str(fault_of(400, b"no: invalid symbol")) == "HTTP 400: no: invalid symbol"
    assert isinstance(fault_of(500, b"too often"), RateLimited)
    assert type(fault_of(503, b"no: busy")) is SourceUnavailable


@pytest.mark.parametrize("status", [402, 403, 418, 451])
def test_a_ban_lasts_for_its_retry_after(status: int) -> None:
    assert retry_after(status) is None
    assert retry_after(status, retry_after="90") == 90


@pytest.mark.parametrize(
    "body",
    [
        b"error code: 1015",
        b"<title>Access denied</title> <h2>Error 1020</h2>",
        b"<span>Error</span>\n<span class='code'>1015</span>",
    ],
)
def test_a_cloudflare_block_page_is_a_ban(body: bytes) -> None:
    assert type(fault_of(429, body)) is type(fault_of(503, body)) is Banned


def test_the_end_of_a_binance_ban_comes_from_its_message() -> None:
    body = b'{"code":-1003,"msg":"Way too much request weight used; IP banned until 1764000120000. Please"}'
    assert retry_after(418, body) == 120
    assert retry_after(418, body, date="Mon, 24 Nov 2025 16:01:00 GMT") == 60
    assert retry_after(418, b"banned until 1764172800000") == 2 * 86_400
    assert retry_after(418, b"banned until 9999999999999") == MAX_BAN


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("119", 119),
        ("0", 0),
        (" 7 ", 7),
        ("Mon, 24 Nov 2025 16:02:00 GMT", 120),
        ("Mon, 24 Nov 2025 16:02:00 -0000", 120),
        ("Mon, 24 Nov 2025 15:00:00 GMT", 0),  # past
        ("3600", 3600),
        ("86400", MAX_PAUSE),
        ("99999999999", MAX_PAUSE),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_PAUSE),
        ("\t5 ", 5),
        ("\x1d119", None),
        ("119\x0b", None),
        ("-5", None),
        ("1e3", None),
        ("soon", None),
        ("", None),
        ("٣", None),
        ("9" * 5000, None),
        ("Mon, 99 Nov 2025 16:00:00 GMT", None),
    ],
)
def test_retry_after_may_be_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after(retry_after=header) == seconds


def test_retry_after_dates_are_relative_to_the_sources_date() -> None:
    later = "Mon, 24 Nov 2025 16:10:30 GMT"
    assert retry_after(retry_after=later, date="Mon, 24 Nov 2025 16:10:00 GMT") == 30
    assert retry_after(retry_after=later, date="nonsense") == 630


def test_retry_after_wins_over_the_pause_in_the_body() -> None:
    assert retry_after(429, b"too often for 40") == 40
    assert retry_after(429, b"too often for 40", retry_after="9") == 9


def test_retry_after_is_obeyed_with_any_status() -> None:
    assert retry_after(503, retry_after="20") == 20


@given(
    status=st.integers(200, 999),
    body=st.binary(max_size=60) | st.just(b"banned until 9999999999999"),
    header=st.text(max_size=40),
)
def test_any_response_gives_a_quote_or_an_error(status: int, body: bytes, header: str) -> None:
    response = SourceResponse(status, {"retry-after": header, "date": header, "age": header}, body)
    try:
        result: Quote | SourceError = read(response, parse, RECEIVED_AT)
    except SourceError as fault:
        result = fault
    assert str(result)
    if isinstance(result, RateLimited):
        assert result.retry_after is None or 0 <= result.retry_after <= MAX_BAN


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30.5", 30.5),
        ("30, 60", 60),
        ("60, 30", 60),
        ("Mon, 24 Nov 2025 16:00:30 GMT, 20", 30),
        ("nonsense, 20", 20),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
    ],
)
def test_the_longest_of_several_retry_after_values_counts(header: str, seconds: float | None) -> None:
    assert retry_after(retry_after=header) == seconds


def test_an_impossible_http_date_is_ignored() -> None:
    assert retry_after(date="Mon, 01 Jan 99999999999 00:00:00 GMT", retry_after="30") == 30


def test_invalid_json_is_reported_with_its_content_encoding() -> None:
    assert str(fault_of(200, b"\x8b", content_encoding="br")) == "the body is not JSON (Content-Encoding: br)"
