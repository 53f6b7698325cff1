"""Which way a request takes, and whom it trusts."""

import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
from yarl import URL

from btc_price_tracker.outgoing import certificates
from btc_price_tracker.outgoing.proxies import proxies, way

_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUVtmZEpTavhdkSUAiZ975FMpJRfEwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMzAzMDIyNFoYDzIxMjYxMDMwMDMw
MjI0WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARk5fNh8iy+Q1q5gnG0PGDifVv9b464xifR9WgMQVEd6VnJDStw6shjaJz1G8sw
5DOt0FDaQhZr4R61versl/TTo1MwUTAdBgNVHQ4EFgQUWI7RCmDr9nYKF7h8tIx+
REICkHwwHwYDVR0jBBgwFoAUWI7RCmDr9nYKF7h8tIx+REICkHwwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiEAzRm0Rr0RMMySdW43dzTChUUAZgwX
ZMddMT2qVuiAqnkCIAWzEPpicNXSRtY78KcZP/fT7StTqvBJNrZFM/ZN33Z+
-----END CERTIFICATE-----
"""
PROXY = "http://user:word@proxy:3128"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("left_out", "url", "taken"),
    [
        ("", "https://api.example.com/x", PROXY),
        ("", "http://localhost:8082", None),
        ("", "http://127.0.0.1:1", None),
        ("", "http://[::1]:1", None),
        ("example.com", "https://api.example.com", None),
        ("example.com", "https://notexample.com", PROXY),
        ("example.com:8080", "http://example.com:8080", None),
        ("example.com:8080", "http://example.com", PROXY),
        ("a.com, 10.0.0.0/8", "http://10.1.2.3:8082", None),
        ("10.0.0.0/8", "http://11.1.2.3", PROXY),
        ("fd00::1", "http://[fd00::1]:80", None),
        ("*", "http://example.com", None),
    ],
)
def test_no_proxy_names_hosts_domains_ports_and_networks(
    monkeypatch: pytest.MonkeyPatch, left_out: str, url: str, taken: str | None
) -> None:
    monkeypatch.setenv("all_proxy", PROXY)
    monkeypatch.setenv("no_proxy", left_out)
    assert way(URL(url), proxies()) == taken


def test_a_proxy_of_its_own_comes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("HTTPS_PROXY", "other:3128")  # without a scheme
    assert way(URL("https://example.com"), proxies()) == "http://other:3128"
    assert way(URL("http://example.com"), proxies()) == PROXY


class Paths(NamedTuple):
    cafile: str | None = None
    capath: str | None = None


def test_a_python_built_to_look_elsewhere_finds_the_certificates_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(_CERTIFICATE)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: Paths(capath=str(tmp_path / "empty")))
    monkeypatch.setattr(certificates, "_BUNDLES", (str(tmp_path / "missing"), str(bundle)))
    assert len(certificates.certificates().get_ca_certs()) == 1
