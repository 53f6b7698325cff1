"""The PROXY protocol by the examples of its specification, and whatever else may come."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.web.address.proxy_protocol import NONE, Preface, read

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET / HTTP/1.1\r\n\r\n"


def v2(body: bytes, *, command: int = 0x21, family: int = 0x11) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(body).to_bytes(2) + body


IPV4 = bytes([192, 0, 2, 1, 10, 0, 0, 1]) + (4711).to_bytes(2) + (443).to_bytes(2)
IPV6 = ipaddress.ip_address("2001:db8::1").packed * 2 + (4711).to_bytes(2) + (443).to_bytes(2)
CLIENT_4, CLIENT_6 = ("192.0.2.1", 4711), ("2001:db8::1", 4711)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n", CLIENT_4),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", CLIENT_6),
        (
            b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 0 65535\r\n",
            ("ffff:" * 7 + "ffff", 0),
        ),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", None),
        (v2(IPV4), CLIENT_4),
        (v2(IPV6, family=0x21), CLIENT_6),
        (v2(IPV4 + b"\x03\x00\x04abcd\x04\x00\x00"), CLIENT_4),  # extensions
        (v2(IPV4 + bytes(60_000)), CLIENT_4),
        (v2(b"", command=0x20, family=0x00), None),  # LOCAL
        (v2(IPV4, command=0x20), None),
        (v2(b"", family=0x00), None),  # UNSPEC
        (v2(bytes(216), family=0x31), None),  # a Unix socket
        (v2(IPV4, family=0x12), None),  # UDP
        (v2(b"whatever", family=0xFF), None),
    ],
)
def test_valid_header(header: bytes, client: tuple[str, int] | None) -> None:
    assert read(header + REQUEST) == Preface(len(header), client)
    for end in range(min(len(header), 300)):
        assert read(header[:end]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY \r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443 \r\n",
        b"PROXY TCP4  192.0.2.1 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 04711 443\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 65536\r\n",
        b"PROXY TCP4 192.0.2.1 10.0.0.1 -1 443\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.1 localhost 4711 443\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 4711 443\r\n",
        b"PROXY TCP6 192.0.2.1 10.0.0.1 4711 443\r\n",
        b"PROXY TCP5 192.0.2.1 10.0.0.1 4711 443\r\n",
        b"PROXY TCP4 192.0.2.1\xff 10.0.0.1 4711 443\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY " + b"x" * 101,
        b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",  # 108 bytes
        v2(IPV4, command=0x11),
        v2(IPV4, command=0x22),
        v2(IPV4[:-1]),
        v2(IPV4, family=0x21),
    ],
)
def test_invalid_header(data: bytes) -> None:
    with pytest.raises(ValueError, match="PROXY"):
        read(data)


@pytest.mark.parametrize(
    "data", [REQUEST, b"\r\n" + REQUEST, b"\r\n\r\nGET", b"PROXIES", b"PUT / ", b"\x16\x03\x01"]
)
def test_data_without_a_header(data: bytes) -> None:
    assert read(data) == NONE


@given(
    st.ip_addresses(),
    st.integers(0, 65535),
    st.binary(max_size=50),
    st.sampled_from(["text", "binary"]),
    st.integers(0, 300),
    st.binary(),
)
def test_any_client_is_read_from_any_pieces(
    address: ipaddress.IPv4Address,
    port: int,
    extensions: bytes,
    version: str,
    cut: int,
    data: bytes,
) -> None:
    is_4 = address.version == 4
    line = f"PROXY TCP{address.version} {address} {address} {port} 0\r\n".encode()
    body = address.packed * 2 + port.to_bytes(2) + b"\0\0" + extensions
    header = v2(body, family=0x11 if is_4 else 0x21) if version == "binary" else line
    found = read((header + data)[: len(header) + cut])
    assert found is not None
    assert found.size == len(header)
    assert found.client is not None
    assert ipaddress.ip_address(found.client[0]) == address
    assert found.client[1] == port


@given(
    st.one_of(st.binary(), st.binary().map(lambda data: SIGNATURE + data), st.binary().map(b"PROXY ".__add__))
)
def test_any_data_is_a_header_or_not(data: bytes) -> None:
    try:
        found = read(data)
    except ValueError:
        return
    assert found is None or 0 <= found.size <= len(data)
