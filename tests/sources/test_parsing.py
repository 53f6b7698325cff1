import json
from bisect import bisect_right
from contextlib import suppress

import pytest

from btc_price_tracker.errors import InvalidQuote
from btc_price_tracker.sources.parsing import MAX_BYTES, JsonNode, read


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"null1", "not JSON"),
        (b'{"price": 1', "not JSON"),
        (b'{"price": 01}', "not JSON"),
        (b'{"price": 1,}', "not JSON"),
        (b'{"price": 1} {"price": 2}', "not JSON"),
        (b"error code: 1015", "not JSON"),
        (b" \n<html>", "HTML"),
        (b'\xef\xbb\xbf{"price": 1}', "not JSON"),
        ('{"price": 1}'.encode("utf-16"), "not JSON"),
        (b'{"price": "\xff"}', "not JSON"),
        (b'{"price": "a\x00b"}', "not JSON"),
        (b'{"price": NaN}', "NaN"),
        (b'{"price": -Infinity}', "-Infinity"),
        (b'{"price": 1, "price": 2}', "twice"),
        (b"[" * 50_000, "nested"),
        (b'{"a":' * 10_000, "nested"),
        (b"[" + b" " * MAX_BYTES + b"]", "larger than 65536 bytes"),
    ],
)
def test_a_body_that_is_not_strict_json_is_rejected(body: bytes, message: str) -> None:
    with pytest.raises(InvalidQuote, match=message):
        read(body)


def test_a_body_of_the_maximum_size_is_parsed() -> None:
    assert read(b"[" + b" " * (MAX_BYTES - 2) + b"]").items() == []


@pytest.mark.parametrize("number", ["0", "-0", "1e999999999", "9.083198811E7", "1" * 10_000, "0.10"])
def test_numbers_keep_their_text(number: str) -> None:
    assert read(f"[{number}]".encode())[0].value == number


def test_nodes_have_a_path() -> None:
    body = read(b'{"result": {"c": ["1.5", null]}}')
    assert body["result"]["c"][0] == JsonNode("1.5", "result.c.0")
    assert str(body["result"]["c"][0]) == "result.c.0 is '1.5'"
    assert str(body) == "the body is an object"


def test_a_missing_node_reads_as_null() -> None:
    body = read(b'{"c": [null]}')
    assert body["c"][0].absent
    assert body["c"][7].absent
    assert body["d"].absent
    assert body["d"]["e"][0] == JsonNode(None, "d.e.0")


@pytest.mark.parametrize("body", [b"[]", b"true", b"7", b'"text"'])
def test_a_field_of_a_non_object_is_rejected(body: bytes) -> None:
    with pytest.raises(InvalidQuote, match="not an object"):
        read(body)["price"]


@pytest.mark.parametrize("body", [b"{}", b"false", b"7", b'"text"'])
def test_an_item_of_a_non_array_is_rejected(body: bytes) -> None:
    with pytest.raises(InvalidQuote, match="not an array"):
        read(body)[0]


def test_body_at_the_edge_of_the_stack_is_read_or_refused() -> None:
    """Which depth is the edge depends on the interpreter, its version and the caller's own depth."""
    edge = bisect_right(range(MAX_BYTES // 2), x=0, key=lambda depth: not is_readable(nested(depth))) - 1
    assert edge > 100
    for depth in range(edge - 20, edge + 20):
        with suppress(InvalidQuote):
            read(nested(depth))
    with pytest.raises(InvalidQuote, match="nested"):
        read(nested(edge + 20))


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def is_readable(body: bytes) -> bool:
    try:
        json.loads(body)
    except RecursionError:
        return False
    return True
