"""Which addresses are those of trusted proxies, and which addresses limits count as one."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.web.address.groups import group_of, packed
from btc_price_tracker.web.address.trusted import Trusted


@pytest.mark.parametrize(
    ("networks", "host", "expected"),
    [
        (["127.0.0.1", "::1"], "127.0.0.1", True),
        (["127.0.0.1", "::1"], "::1", True),
        (["127.0.0.1", "::1"], "127.0.0.2", False),
        (["127.0.0.1"], "::ffff:127.0.0.1", True),
        (["::ffff:10.0.0.1"], "10.0.0.1", True),
        (["10.0.0.0/8", "192.0.2.0/24"], "10.255.0.1", True),
        (["10.0.0.0/8", "192.0.2.0/24"], "192.0.3.1", False),
        (["2001:db8::/32"], "2001:db8:1::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["0.0.0.0/0"], "8.8.8.8", True),
        (["0.0.0.0/0"], "::1", False),
        (["::/0"], "127.0.0.1", False),
        (["fe80::/10"], "fe80::1%eth0", True),
        ([], "127.0.0.1", False),
        (["10.0.0.0/8"], "_hidden", False),
        (["10.0.0.0/8"], "10.0.0.1\0", False),
        (["10.0.0.0/8"], "10.0.0.\u0661", False),
    ],
)
def test_trusted_networks(networks: list[str], host: str, expected: bool) -> None:  # noqa: FBT001
    assert (host in Trusted(networks)) is expected


addresses = st.ip_addresses().filter(lambda each: getattr(each, "ipv4_mapped", None) is None)


@given(addresses, st.integers(0, 128), addresses)
def test_trust_is_that_of_the_standard_library(
    base: ipaddress.IPv4Address, prefix: int, host: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network(f"{base}/{min(prefix, base.max_prefixlen)}", strict=False)
    assert (str(host) in Trusted([str(network)])) is (host in network)
    assert str(base) in Trusted([str(network)])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("_one", "_one", True),
        ("_one", "_other", False),
    ],
)
def test_addresses_count_as_one(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    assert (group_of(one) == group_of(other)) is same


@given(st.text())
def test_any_text_is_an_address_or_none(text: str) -> None:
    assert packed(text) is None or len(packed(text) or b"") in (4, 16)
