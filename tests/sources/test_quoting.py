from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from btc_price_tracker.errors import InvalidQuote
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.parsing import JsonNode
from btc_price_tracker.sources.quoting import BITCOIN, milliseconds, price, quote, rfc3339, seconds


def at(value: object) -> JsonNode:
    return JsonNode(value, "field")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("63410.18", "63410.18"),
        ("73380.70000", "73380.70000"),
        ("49253", "49253"),
        ("9.083198811E7", "90831988.11"),
        ("6.341018e+4", "63410.18"),
        ("1e5", "100000"),
        ("6.942025e+04", "69420.25"),
        ("694202500e-4", "69420.2500"),
        ("6942025000000000000000e-17", "69420.25000000000000000"),
        ("0.000000000069420e15", "69420"),
        ("69420.1234567890123456789012345678", "69420.1234567890123456789012345678"),
        ("30538.078793975994", "30538.078793975994"),
        ("1", "1"),
        ("100000000", "100000000"),
        ("99999999.999999999999999999", "99999999.999999999999999999"),
    ],
)
def test_prices_are_exact_and_without_exponent(text: str, plain: str) -> None:
    assert str(price(at(text), BITCOIN)) == plain


@pytest.mark.parametrize(
    "nothing", [None, "", "0", "0.00", "0.00000000", "0E5", "0E-8", "0e-100", "-0", "-0.0"]
)
def test_absent_blank_and_zero_are_no_price(nothing: str | None) -> None:
    assert price(at(nothing), BITCOIN) is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            "-1",
            "-1e-9",
            "+5",
            " 5 ",
            "5\n",
            "5.",
            ".5",
            "05",
            "33,683.1850",
            "1_000",
            "٣",
            "\uff15",
            "0x10",
            "1/2",
            "$5",
        ),
        *("NaN", "nan", "sNaN", "Infinity", "inf", "-Infinity", "1e999999999", "1e", "e5", "1e+"),
        *("1" * 41, "1." + "1" * 41, "1" * 100_000, "abc", "null", "true", "5 USD"),
        *(True, False, [], ["5"], {}, {"usd": "5"}),
    ],
)
def test_a_price_must_be_a_plain_positive_number(value: object) -> None:
    with pytest.raises(InvalidQuote, match="not a plain positive number"):
        price(at(value), BITCOIN)


@pytest.mark.parametrize(
    "absurd", ["0.99", "0.000000000000000001", "100000000.01", "999999999", "9E8", "1e-1", "1e999", "9e-999"]
)
def test_a_price_outside_the_band_is_rejected(absurd: str) -> None:
    with pytest.raises(InvalidQuote, match="outside 1 to 100000000"):
        price(at(absurd), BITCOIN)


def made(last: Any, bid: Any = None, ask: Any = None) -> Quote:
    return quote(at(last), at(bid), at(ask))


def test_last_may_be_outside_the_book() -> None:
    quote = made("105899.4", "105944.2", "105944.3")
    assert quote == Quote(Decimal("105899.4"), Decimal("105944.2"), Decimal("105944.3"))


@pytest.mark.parametrize(("bid", "ask"), [("101", "100"), ("100", "100"), ("100.0", "100")])
def test_a_crossed_or_locked_book_is_dropped(bid: str, ask: str) -> None:
    assert made("99", bid, ask) == Quote(Decimal(99))


@pytest.mark.parametrize(
    ("bid", "ask"),
    [("2", "90000000"), ("1", "2"), ("56999", "63001"), ("49000", "49001"), ("71000", "71001")],
)
def test_an_implausible_book_is_dropped(bid: str, ask: str) -> None:
    assert made("60000", bid, ask) == Quote(Decimal(60000))


def test_a_spread_of_a_tenth_is_plausible() -> None:
    wide = Quote(Decimal(60000), Decimal(57000), Decimal(63000))
    assert made("60000", "57000", "63000") == wide
    far = Quote(Decimal(99), Decimal("109.999"), Decimal("110.001"))
    assert made("99", "109.999", "110.001") == far


def test_an_implausible_book_does_not_replace_a_missing_last() -> None:
    with pytest.raises(InvalidQuote, match="there is no valid book"):
        made(None, "2", "90000000")


@pytest.mark.parametrize("empty", [None, "", "0.00", "0E-8"])
def test_a_book_with_one_side_keeps_it(empty: str | None) -> None:
    assert made("100", "99", empty) == Quote(Decimal(100), bid=Decimal(99))
    assert made("100", empty, "101") == Quote(Decimal(100), ask=Decimal(101))


@pytest.mark.parametrize("missing", [None, "", "0"])
def test_a_valid_book_replaces_a_missing_last(missing: str | None) -> None:
    assert made(missing, "100.01", "100.02").last == Decimal("100.015")


@pytest.mark.parametrize("digits", [17, 39])
def test_the_middle_is_exact_even_for_the_longest_prices(digits: int) -> None:
    low, high = f"99999999.{'9' * digits}7", f"99999999.{'9' * digits}8"
    assert str(made(None, low, high).last) == f"99999999.{'9' * digits}75"


@pytest.mark.parametrize(("bid", "ask"), [(None, None), ("100", None), (None, "100"), ("101", "100")])
def test_a_quote_needs_last_or_a_valid_book(bid: str | None, ask: str | None) -> None:
    with pytest.raises(InvalidQuote, match="field is missing, and there is no valid book"):
        made(None, bid, ask)


@pytest.mark.parametrize("bad", ["-1", "NaN", "abc", "1e9", True, {}, "0.5"])
def test_a_malformed_side_is_rejected(bad: object) -> None:
    """Nothing there is an empty book; nonsense there means that we don't understand the answer."""
    with pytest.raises(InvalidQuote):
        made("100", bad, "101")
    with pytest.raises(InvalidQuote):
        made("100", "99", bad)


def test_times_are_milliseconds_since_the_epoch() -> None:
    assert seconds(at("1507003445")) == 1_507_003_445_000
    assert milliseconds(at("1566445106532")) == 1_566_445_106_532
    assert seconds(at(None)) is milliseconds(at(None)) is rfc3339(at(None)) is None


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1507003445.9690602", 1_507_003_445_969),
        ("1507003445.0", 1_507_003_445_000),
        ("1.507003445e9", 1_507_003_445_000),
        ("1507003445969.0602e-3", 1_507_003_445_969),
    ],
)
def test_a_time_may_have_a_fraction_or_an_exponent(text: str, ms: int) -> None:
    assert seconds(at(text)) == ms
    assert milliseconds(at(f"{ms}.5")) == ms


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        *(("Z", 0), (".8Z", 800), (".887Z", 887), (".887999Z", 887), (".887999999Z", 887), (".001+00:00", 1)),
        *((f".887{'9' * 30}Z", 887), ("z", 0), (".887z", 887)),
    ],
)
@pytest.mark.parametrize("between", ["T", "t", " "])
def test_an_rfc3339_time_has_any_number_of_fractional_digits(between: str, text: str, fraction: int) -> None:
    assert rfc3339(at(f"2017-10-03{between}04:00:31{text}")) == 1_507_003_231_000 + fraction


def test_an_rfc3339_time_may_have_any_offset() -> None:
    assert rfc3339(at("2017-10-03T06:00:31+02:00")) == rfc3339(at("2017-10-03T04:00:31Z"))


def test_a_leap_second_is_the_next_second() -> None:
    assert rfc3339(at("2016-12-31T23:59:60.5Z")) == rfc3339(at("2017-01-01T00:00:00.5Z"))


@pytest.mark.parametrize(
    "unreadable", ["", "soon", "٣", "1_507_003_445", "0x59D31415", "9" * 41, "1507003445 ", True, [], {}]
)
def test_an_unreadable_epoch_time_is_ignored(unreadable: object) -> None:
    assert seconds(at(unreadable)) is milliseconds(at(unreadable)) is None


@pytest.mark.parametrize(
    "absurd",
    [
        *("0", "-1507003445", "1e9", "1e999"),
        "1231006504",  # the second before Bitcoin's first block
        "1566445106532",  # milliseconds
    ],
)
def test_an_implausible_epoch_time_is_rejected(absurd: object) -> None:
    with pytest.raises(InvalidQuote, match="an implausible time"):
        seconds(at(absurd))


def test_seconds_instead_of_milliseconds_are_rejected() -> None:
    with pytest.raises(InvalidQuote, match="an implausible time"):
        milliseconds(at("1507003445"))


@pytest.mark.parametrize(
    "unreadable",
    [
        *("", "2017-10-03", "2017-10-03T04:00:31", "2017-13-03T04:00:31Z", "2017-10-03T04:00:61Z", True, {}),
        *("2017-10-03T04:00:31,5Z", "2017-10-03T25:00:31Z", "0000-01-01T00:00:00Z", "1507003445"),
        *(
            "2017-10-03T04:00:31+99:99",
            "2017-10-03T04:00:31." + "1" * 40 + "Z",
            "Tue, 03 Oct 2017 04:00:31 GMT",
        ),
    ],
)
def test_an_unreadable_rfc3339_time_is_ignored(unreadable: object) -> None:
    assert rfc3339(at(unreadable)) is None


@pytest.mark.parametrize(
    "absurd",
    [
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2008-12-31T00:00:00Z",
        "1970-01-01T00:00:00Z",
    ],
)
def test_an_implausible_rfc3339_time_is_rejected(absurd: object) -> None:
    with pytest.raises(InvalidQuote, match="an implausible time"):
        rfc3339(at(absurd))


def test_an_rfc3339_time_agrees_with_the_standard_library() -> None:
    text = "2026-06-11T12:34:56.789012Z"
    assert rfc3339(at(text)) == int(datetime.fromisoformat(text).timestamp() * 1000)


def test_all_json_number_notations_are_accepted() -> None:
    body = b'{"price":6.942025e+04,"bid":694202400e-4,"ask":0E-8,"time":"2026-11-26t12:00:60.1z"}'
    assert SOURCES["coinbase"].parse(body) == Quote(
        Decimal("69420.25"), bid=Decimal("69420.2400"), time=1_795_694_460_100
    )
    body = b'{"price":"69420.25","time":"26/11/2026 12:00"}'
    assert SOURCES["coinbase"].parse(body) == Quote(Decimal("69420.25"))
