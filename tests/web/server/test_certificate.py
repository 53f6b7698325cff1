"""TLS_CERT and TLS_KEY: what can be used, and what is said where one can't."""

import asyncio
import base64
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from btc_price_tracker.clock import SystemClock
from btc_price_tracker.errors import SettingsError
from btc_price_tracker.settings import Settings, load, load_address
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.server.certificate import Certificate, certificate_of
from btc_price_tracker.web.server.x509 import expiry
from certificates import CertificateFiles, make_certificate

_DER = base64.b64decode(
    "MIIBbTCCAROgAwIBAgIUQDwG6GtpQAWL/YGfbq2o+Ja3pEUwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBeDAeFw0yNjExMjcw"
    "OTE1MjRaFw0yNjEyMjcwOTE1MjRaMAwxCjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASjREca+mwYgcWl"
    "xoiINEoFGQLSFEoyGkLlLWivK1gop0katp3tAvKYJfwTR0dySryINb89C54oayUnElCi+lm8o1MwUTAdBgNVHQ4EFgQUXTHe"
    "LGB+XnUY83Ly72IKmdtwvCMwHwYDVR0jBBgwFoAUXTHeLGB+XnUY83Ly72IKmdtwvCMwDwYDVR0TAQH/BAUwAwEB/zAKBggq"
    "hkjOPQQDAgNIADBFAiA9vrUCKb79X/o++iWEiWA3hJ2xsOrMQYIcE7L094472wIhAPnQ/u/BCVuOlI3whyGsN7t9mysVA9Go"
    "JUC9tti2DPwn"
)


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return make_certificate(tmp_path)


def settings(files: CertificateFiles) -> Settings:
    paths = {"tls_cert": str(files.certificate), "tls_key": str(files.key)}
    return load({"store_url": "memory://", **paths})


@pytest.mark.parametrize("days", [30, 36_500], ids=["this half of the century", "the other"])
def test_expiry_is_that_of_the_certificate(tmp_path: Path, days: int) -> None:
    files = make_certificate(tmp_path, days=days)
    expected = datetime.now(UTC) + timedelta(days)
    assert abs(expiry(files.certificate.read_text()) - expected) < timedelta(minutes=5)


def test_first_certificate_of_a_chain_counts(tmp_path: Path) -> None:
    leaf, root = make_certificate(tmp_path / "a", days=2), make_certificate(tmp_path / "b", days=900)
    text = f"Subject: somebody\n{leaf.certificate.read_text()}{root.certificate.read_text()}"
    assert expiry(text) == expiry(leaf.certificate.read_text())


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4))
def test_damaged_certificate_is_a_value_error_or_has_an_expiry(at: int, damage: bytes) -> None:
    der = bytearray(_DER)
    der[at % len(der) : at % len(der) + len(damage)] = damage
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(der).decode()}\n-----END CERTIFICATE-----"
    with contextlib.suppress(ValueError):
        assert expiry(pem).tzinfo is UTC


def missing(files: CertificateFiles) -> None:
    files.certificate.unlink()


def missing_key(files: CertificateFiles) -> None:
    files.key.unlink()


def folder(files: CertificateFiles) -> None:
    files.certificate.unlink()
    files.certificate.mkdir()


def no_certificate(files: CertificateFiles) -> None:
    files.certificate.write_bytes(files.key.read_bytes())


def damaged(files: CertificateFiles) -> None:
    begin, _, end = files.certificate.read_text().partition("\n")
    files.certificate.write_text(f"{begin}\nAAAA{end}")


def no_key(files: CertificateFiles) -> None:
    files.key.write_bytes(files.certificate.read_bytes())


def damaged_key(files: CertificateFiles) -> None:
    files.key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def encrypted(files: CertificateFiles) -> None:
    make_certificate(files.key.parent / "encrypted", password="geheim").install(files)


def of_another(files: CertificateFiles) -> None:
    make_certificate(files.key.parent / "other").key.replace(files.key)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (missing, r"TLS_CERT: '.*tls\.crt' can't be read: no such file or directory"),
        (missing_key, r"TLS_KEY: '.*tls\.key' can't be read: no such file or directory"),
        (folder, r"TLS_CERT: '.*tls\.crt' can't be read: is a directory"),
        (no_certificate, r"TLS_CERT: '.*tls\.crt' holds no certificate in PEM"),
        (damaged, r"TLS_CERT: '.*tls\.crt' holds a damaged certificate"),
        (no_key, r"TLS_KEY: '.*tls\.key' holds no private key in PEM"),
        (damaged_key, r"TLS_CERT: '.*tls\.crt' and TLS_KEY '.*tls\.key' can't be used: "),
        (encrypted, r"TLS_KEY: '.*tls\.key' is encrypted; decrypt it: openssl pkey"),
        (of_another, r"TLS_KEY: '.*tls\.key' is not the key of the certificate in '.*tls\.crt'"),
    ],
)
def test_files_that_can_not_be_used_are_explained(
    files: CertificateFiles, damage: Callable[[CertificateFiles], None], message: str
) -> None:
    damage(files)
    with pytest.raises(SettingsError, match=message):
        certificate_of(settings(files), SystemClock())


def test_expired_certificate_is_explained(files: CertificateFiles) -> None:
    clock = ManualClock(SystemClock().now() + 31 * 86_400_000)
    with pytest.raises(
        SettingsError, match=r"TLS_CERT: '.*' expired on 20\d\d-\d\d-\d\d \d\d:\d\d UTC; renew"
    ):
        certificate_of(settings(files), clock)


@pytest.mark.parametrize("name", ["tls_cert", "tls_key"])
def test_one_without_the_other_is_refused_with_all_other_errors(name: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load({"port": "x", name: "/etc/tls.pem", "store_url": "memory://"})
    port, fault = str(raised.value).splitlines()
    assert port.startswith("  PORT: ")
    assert fault.startswith("  TLS_KEY: set TLS_CERT and TLS_KEY together, or neither")
    assert "None" not in fault


def test_url_for_local_clients_is_https() -> None:
    assert load_address({"tls_cert": "/etc/tls.pem", "host": "::1"}).url() == "https://[::1]:8082"


async def test_certificate_that_expires_soon_is_in_the_log(files: CertificateFiles) -> None:
    clock = ManualClock(SystemClock().now() + 20 * 86_400_000)
    certificate = Certificate(files.certificate, files.key, clock)
    with capture_logs() as lines:
        task = asyncio.create_task(certificate.watch())
        await eventually(lambda: bool(lines))
        task.cancel()
    (line,) = lines
    assert (line["event"], line["days"]) == ("certificate expires soon", 9)


def test_reload_of_an_expired_certificate_keeps_the_old(files: CertificateFiles) -> None:
    clock = ManualClock(SystemClock().now())
    certificate = Certificate(files.certificate, files.key, clock)
    context = certificate.context
    clock.step(31 * 86_400)
    with capture_logs() as lines:
        certificate.reload()
    assert [line["event"] for line in lines] == ["certificate not reloaded"]
    assert certificate.context is context
