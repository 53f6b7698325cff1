"""The proxy for a URL, from the environment."""

import pytest
from yarl import URL

from btc_price_tracker.errors import HttpClientError
from btc_price_tracker.http_client.proxies import Proxies

PROXY = "http://user:word@proxy:3128"
BAD = "set a proxy like http://host:3128 or socks5h://host:1080, or unset it"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def proxy_of(url: str) -> str | None:
    proxy = Proxies.of_environment().proxy_for(URL(url))
    return str(proxy.url) if proxy else None


@pytest.mark.parametrize(
    ("left_out", "url", "taken"),
    [
        ("", "https://api.example.com/x", PROXY),
        ("", "http://localhost:8082", None),
        ("", "http://prices.localhost.:8082", None),
        ("", "http://127.0.0.1:1", None),
        ("", "http://127.7.7.7:1", None),
        ("", "http://[::1]:1", None),
        ("example.com", "https://api.example.com", None),
        ("example.com", "https://example.com.", None),
        ("Example.com", "https://API.example.COM", None),
        (".example.com", "https://example.com", None),
        ("*.example.com", "https://api.example.com", None),
        ("example.com", "https://notexample.com", PROXY),
        ("example.com", "https://example.com.org", PROXY),
        ("example.com:8080", "http://example.com:8080", None),
        ("example.com:8080", "http://example.com", PROXY),
        ("example.com:443", "https://example.com", None),
        ("a.com, 10.0.0.0/8", "http://10.1.2.3:8082", None),
        ("a.com 10.0.0.0/8", "http://10.1.2.3:8082", None),
        ("10.0.0.0/8", "http://11.1.2.3", PROXY),
        ("10.0.0.1:80", "http://10.0.0.1", None),
        ("10.0.0.1:81", "http://10.0.0.1", PROXY),
        ("10.0.0.0/33", "http://10.0.0.1", PROXY),
        ("fd00::1", "http://[fd00::1]:80", None),
        ("[fd00::1]", "http://[fd00::1]:80", None),
        ("[fd00::1]:81", "http://[fd00::1]:80", PROXY),
        ("fd00::/8", "http://[fd12::1]:80", None),
        (",, .", "http://example.com", PROXY),
        ("*", "http://example.com", None),
    ],
)
def test_no_proxy_names_hosts_domains_ports_and_networks(
    monkeypatch: pytest.MonkeyPatch, left_out: str, url: str, taken: str | None
) -> None:
    monkeypatch.setenv("all_proxy", PROXY)
    monkeypatch.setenv("no_proxy", left_out)
    assert proxy_of(url) == taken


def test_scheme_proxy_wins_over_all_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("HTTPS_PROXY", "other:3128")  # without a scheme
    assert proxy_of("https://example.com") == "http://other:3128"
    assert proxy_of("http://example.com") == PROXY


def test_lower_case_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("https_proxy", "http://small:1")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.setenv("no_proxy", "example.org")
    assert proxy_of("https://example.com") == "http://small:1"
    assert proxy_of("https://example.org") is None


@pytest.mark.parametrize(
    ("named", "taken", "is_socks", "takes_names"),
    [
        ("http://p:3128", "http://p:3128", False, True),
        ("https://p:3128", "https://p:3128", False, True),
        ("socks5://p", "socks5://p:1080", True, False),
        ("socks5h://a:b@p:9050", "socks5h://a:b@p:9050", True, True),
        ("socks4://p", "socks4://p:1080", True, False),
        ("socks4a://p", "socks4a://p:1080", True, True),
        ("socks://p", "socks4://p:1080", True, False),
    ],
)
def test_supported_proxy_kinds(
    monkeypatch: pytest.MonkeyPatch, named: str, taken: str, *, is_socks: bool, takes_names: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", named)
    proxy = Proxies.of_environment().proxy_for(URL("https://example.com"))
    assert proxy
    assert (str(proxy.url), proxy.is_socks, proxy.takes_names) == (taken, is_socks, takes_names)


@pytest.mark.parametrize("named", ["foo://x", "http://h:port", "http://", "://", "socks5://:1080"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_an_unusable_proxy_is_an_error_only_when_needed(
    monkeypatch: pytest.MonkeyPatch, variable: str, named: str
) -> None:
    monkeypatch.setenv(variable, named)
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert proxy_of("http://example.com") == PROXY
    assert proxy_of("https://example.org") is proxy_of("https://localhost") is None
    with pytest.raises(HttpClientError, match=f"^{variable} can't be used: {BAD}$"):
        proxy_of("https://example.com")
