"""The client of a request as trusted proxies name it, whatever else clients write into the same fields."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.web.address.client import client_of
from btc_price_tracker.web.address.trusted import Trusted

PEER = "10.0.0.1"
TRUSTED = Trusted(["10.0.0.0/8", "fd00::/8"])


def client(*fields: tuple[str, str]) -> str:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    return client_of((PEER, 5), encoded, TRUSTED)[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=192.0.2.43", "192.0.2.43"),
        ("For=192.0.2.43", "192.0.2.43"),
        ('FOR="192.0.2.43:47011"', "192.0.2.43"),
        ("for=192.0.2.43:47011", "192.0.2.43"),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ('for="[2001:db8:cafe::17]"', "2001:db8:cafe::17"),
        ('for="2001:db8:cafe::17"', "2001:db8:cafe::17"),
        ('for="192.0.2.43:_port"', "192.0.2.43"),
        (r'for="192.0.2\.43"', "192.0.2.43"),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ('by=203.0.113.43;host="a,b;c";for=192.0.2.60', "192.0.2.60"),
        ("proto=http ; for=192.0.2.60 ", "192.0.2.60"),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17"),
        ("for=192.0.2.43,for=198.51.100.17;proto=https,for=10.1.1.1", "198.51.100.17"),
        ("for=10.3.3.3, for=10.2.2.2", "10.3.3.3"),
        ('for=192.0.2.43, for="[fd00::1]"', "192.0.2.43"),
        ("for=_hidden", "_hidden"),
        ('for="_hidden:_port"', "_hidden"),
        ("for=192.0.2.1, for=_SEVKISEK", "_SEVKISEK"),
        ("for=192.0.2.1, for=unknown", PEER),
        ("for=192.0.2.1, for=unknown, for=10.2.2.2", "10.2.2.2"),
        ("for=192.0.2.1, proto=https", PEER),
        ("for=192.0.2.1, ", PEER),
        ("for=999.0.2.1", PEER),
        ('for="[2001:db8::x]"', PEER),
        (f"for=_{'x' * 65}", PEER),
        ("for", PEER),
        ("", PEER),
        # What a client writes in front doesn't spoil what a proxy appends.
        ('for="192.0.2.9, for=198.51.100.17', "198.51.100.17"),
        ('for=192.0.2.9;x=", for="[2001:db8::1]"', "2001:db8::1"),
        ('\\", for="[2001:db8::1]";proto=https', "2001:db8::1"),
        ("\xff\0;;==, for=198.51.100.17", "198.51.100.17"),
        ('for=198.51.100.17;host="x, for=192.0.2.9"', "198.51.100.17"),
    ],
)
def test_forwarded(value: str, expected: str) -> None:
    assert client(("forwarded", value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("192.0.2.43", "192.0.2.43"),
        ("192.0.2.43:47011", "192.0.2.43"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("192.0.2.9, 198.51.100.17", "198.51.100.17"),
        ("192.0.2.9,198.51.100.17 , 10.1.1.1,10.2.2.2", "198.51.100.17"),
        ("10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("192.0.2.9, unknown", PEER),
        ("192.0.2.9, ", PEER),
        ("198.51.100.17\0", PEER),
        ("localhost", PEER),
    ],
)
def test_x_forwarded_for(value: str, expected: str) -> None:
    assert client(("x-forwarded-for", value)) == expected


def test_lines_of_a_field_are_one_list() -> None:
    assert client(("x-forwarded-for", "192.0.2.9"), ("x-forwarded-for", "198.51.100.17")) == "198.51.100.17"
    assert client(("forwarded", "for=192.0.2.9"), ("forwarded", "for=198.51.100.17")) == "198.51.100.17"


def test_fields_that_disagree_count_for_nothing() -> None:
    x_forwarded_for = ("x-forwarded-for", "192.0.2.9, 198.51.100.17")
    assert client(("forwarded", "for=198.51.100.17"), x_forwarded_for) == "198.51.100.17"
    assert client(("forwarded", "for=192.0.2.9"), x_forwarded_for) == PEER
    assert client(("forwarded", "nonsense"), x_forwarded_for) == PEER


def test_without_a_field_the_peer_is_the_client() -> None:
    assert client_of((PEER, 5), [(b"x-real-ip", b"192.0.2.9")], TRUSTED) == (PEER, 5)
    assert client_of((PEER, 5), [(b"forwarded", b"for=192.0.2.9:80")], TRUSTED) == ("192.0.2.9", 0)


parts = st.sampled_from([*',;="\\ []:._', "for=", "FOR=", "10.0.0.9", "192.0.2.1", "::1", "_x", "\xe9", "\0"])


@given(st.lists(parts).map("".join), st.ip_addresses(v=4).map(str).filter(lambda each: each not in TRUSTED))
def test_no_prefix_hides_what_a_proxy_appends(prefix: str, address: str) -> None:
    assert client(("forwarded", f"{prefix}, for={address}")) == address
    assert client(("forwarded", f'{prefix},for="{address}:80";proto=https')) == address
    assert client(("x-forwarded-for", f"{prefix}, {address}")) == address


@pytest.mark.parametrize(
    "part",
    ["for=10.0.0.1,", ",", ';a="', 'a="b,', "a=b;", " ;", '"\\', "for=10.0.0.1;a=b , ", "a", "=", "a="],
)
def test_the_longest_fields_take_no_time(part: str) -> None:
    value = part * (16_384 // len(part))
    began = time.process_time()
    for _ in range(5):
        client(("forwarded", value))
        client(("x-forwarded-for", value))
    assert time.process_time() - began < 0.5
