"""Recorded bodies, mutated: each gives a plausible quote or a SourceError."""

import json
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btc_price_tracker.errors import SourceError
from btc_price_tracker.price.model import Quote
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.quoting import BITCOIN, GENESIS, HORIZON, Band
from btc_price_tracker.sources.tether import TETHERS

RECORDINGS = Path(__file__).parents[1] / "recordings"
RATE = Band(Decimal("0.5"), Decimal("1.5"))
BANDS = dict.fromkeys(SOURCES, BITCOIN) | dict.fromkeys(("tether", "tether_coinbase"), RATE)
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Place = tuple[str | int, ...]
HOLE = "a value goes here"

# Pieces of JSON text, some of which are no JSON at all.
NASTY = [
    *("null", "true", "false", "0", "-0", "-1", "0.5", "1", "63410", "63410.18", "100000001", "1507003445"),
    *(
        "1e5",
        "1E7",
        "1e-9",
        "1e999999999",
        "-1e999999999",
        "1" * 400,
        "0." + "1" * 400,
        "01",
        "+1",
        ".5",
        "NaN",
    ),
    *(
        "Infinity",
        "-Infinity",
        '""',
        '" "',
        '"0"',
        '"0.00"',
        '"-5"',
        '"+5"',
        '" 5 "',
        '"1_000"',
        '"33,683.1850"',
    ),
    *('"٣"', '"NaN"', '"Infinity"', '"1e999999999"', '"63410.18"', '"99999999999"', '"\\u0000"', '"\\ud800"'),
    *(
        '"\\u001b[2J"',
        '"error"',
        '"XXBTZUSD"',
        '"<html>"',
        '"2017-13-03T04:00:31Z"',
        '"2017-10-03T04:00:31Z"',
    ),
    *(
        "[]",
        "{}",
        "[[]]",
        '["1"]',
        '{"usd":1}',
        '{"a":1,"a":2}',
        '{"error_code":429}',
        "[" * 3000,
        '"',
        "",
        ",",
    ),
]

every_source = pytest.mark.parametrize(
    "source", [*SOURCES.values(), *TETHERS.values()], ids=lambda source: source.name
)


def bodies(source: SourceDefinition) -> list[bytes]:
    files = sorted((RECORDINGS / source.name).glob("*.json"))
    return [path.read_bytes() for path in files if ".meta." not in path.name and path.stat().st_size < 4096]


def assert_quote_or_fault(source: SourceDefinition, body: bytes) -> None:
    try:
        quote = source.parse(body)
    except SourceError as fault:
        text = str(fault)
    else:
        text = "a quote"
        assert_believable(quote, BANDS[source.name])
    assert 0 < len(text) < 400
    assert text.isprintable()


def assert_believable(quote: Quote, band: Band) -> None:
    prices = [price for price in (quote.last, quote.bid, quote.ask) if price is not None]
    assert all(type(price) is Decimal and band.low <= price <= band.high for price in prices)
    assert quote.last is not None
    assert quote.bid is None or quote.ask is None or quote.bid < quote.ask
    assert quote.time is None or GENESIS <= quote.time <= HORIZON


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every path in a JSON value, from the root to the leaves."""
    yield here
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*here, key))


def mutated(value: Any, place: Place, kind: str, fragment: str) -> bytes:
    """The JSON text of a value in which one place is replaced, removed, wrapped or doubled."""
    root: Any = [deepcopy(value)]
    container = root
    for key in (path := (0, *place))[:-1]:
        container = container[key]
    last = path[-1]
    match kind:
        case "replace":
            container[last] = HOLE
        case "remove" if place:
            del container[last]
        case "wrap":
            container[last] = [container[last]]
        case "double" if isinstance(last, int):
            container.insert(0, container[last])
    return json.dumps(root)[1:-1].replace(f'"{HOLE}"', fragment).encode("utf-8", "surrogatepass")


def without_like_rows(value: Any) -> Any:
    """One row in place of blockchain.info's thirty, which are alike."""
    return {"USD": value["USD"]} if isinstance(value, dict) and "USD" in value else value


@every_source
def test_any_value_in_any_field_gives_a_quote_or_an_error(source: SourceDefinition) -> None:
    for value in map(json.loads, bodies(source)):
        for place in places(without_like_rows(value)):
            for fragment in NASTY:
                assert_quote_or_fault(source, mutated(value, place, "replace", fragment))


@every_source
def test_a_truncated_body_is_never_a_quote(source: SourceDefinition) -> None:
    for body in map(bytes.rstrip, bodies(source)):
        for end in range(0, len(body), 1 + len(body) // 200):
            with pytest.raises(SourceError):
                source.parse(body[:end])


@every_source
@given(data=st.data())
@EXAMPLES
def test_a_restructured_body_gives_a_quote_or_an_error(source: SourceDefinition, data: st.DataObject) -> None:
    body = data.draw(st.sampled_from(bodies(source)))
    for _ in range(data.draw(st.integers(1, 3))):
        try:
            value = json.loads(body)
        except ValueError:
            break
        place = data.draw(st.sampled_from(list(places(value))))
        kind = data.draw(st.sampled_from(["replace", "remove", "wrap", "double"]))
        body = mutated(
            value,
            place,
            kind,
            data.draw(
                st.sampled_from([piece for piece in NASTY if len(piece) < 20]) | st.floats().map(json.dumps)
            ),
        )
    assert_quote_or_fault(source, body)


@every_source
@given(
    data=st.data(), junk=st.binary(max_size=4) | st.sampled_from([b"-", b"0", b"e9", b".", b'"', b"}", b","])
)
@EXAMPLES
def test_a_corrupted_body_gives_a_quote_or_an_error(
    source: SourceDefinition, data: st.DataObject, junk: bytes
) -> None:
    body = data.draw(st.sampled_from(bodies(source)))
    at = data.draw(st.integers(0, len(body)))
    kept = at + data.draw(st.integers(0, 4))
    assert_quote_or_fault(source, body[:at] + junk + body[kept:])


@every_source
@given(
    body=st.binary(max_size=100)
    | st.text(alphabet='[]{}":,.0123456789-+eE truefalsn', max_size=40).map(str.encode)
)
@EXAMPLES
def test_any_bytes_give_a_quote_or_an_error(source: SourceDefinition, body: bytes) -> None:
    assert_quote_or_fault(source, body)
