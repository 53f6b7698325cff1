"""ALLOWED_HOSTS: what may be given, and what it is compared as."""

import pytest

from btc_price_tracker.errors import SettingsError
from btc_price_tracker.settings import load
from btc_price_tracker.settings.hosts import normalized


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Example.COM", "example.com"),
        ("example.com:8082", "example.com"),
        ("example.com.", "example.com"),
        ("example.com.:443", "example.com"),
        ("example.com:", "example.com"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::1]:8082", "::1"),
        ("::1", "::1"),
        ("[0:0:0:0:0:0:0:1]:80", "::1"),
        ("[FE80::A]", "fe80::a"),
        ("2001:db8::8082", "2001:db8::8082"),
        ("", ""),
        (":80", ""),
        ("a:b:c", "a:b:c"),
    ],
)
def test_host_has_one_form(host: str, name: str) -> None:
    assert normalized(host) == name


def test_names_are_separated_by_commas() -> None:
    settings = load({"allowed_hosts": "A.example, *.b.example.,[::1]:80,10.0.0.1", "store_url": "memory://"})
    assert settings.allowed_hosts == ("a.example", "*.b.example", "::1", "10.0.0.1")


@pytest.mark.parametrize(
    "hosts",
    [
        "http://a.example",
        "a.*.example",
        "**",
        "*.",
        ",",
        "a b",
        "a.example/path",
        "a:b:c",
        "[]",
        "bücher.example",
    ],
)
def test_what_no_request_can_name_is_refused(hosts: str) -> None:
    with pytest.raises(
        SettingsError, match=r"ALLOWED_HOSTS: give names like example\.com or \*\.example\.com"
    ):
        load({"allowed_hosts": hosts, "store_url": "memory://"})
