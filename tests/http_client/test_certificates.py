"""The trusted certificate authorities."""

import ssl
from pathlib import Path
from typing import NamedTuple

import pytest

from btc_price_tracker.http_client import tls as certificates

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


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


class Paths(NamedTuple):
    cafile: str | None = None
    capath: str | None = None


def test_system_certificates_are_found_outside_openssl_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(_CERTIFICATE)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: Paths(capath=str(tmp_path / "empty")))
    monkeypatch.setattr(certificates, "_BUNDLES", (str(tmp_path / "missing"), str(bundle)))
    assert len(certificates.certificates().get_ca_certs()) == 1
