"""`serve`: addresses on which it can't listen, and certificates."""

import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from certificates import CertificateFiles, make_certificate
from command import environment_of, run


def test_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", PORT=port, STORE_URL="memory://")
    assert result.returncode == 1
    assert result.stderr.startswith(f"btc-price-tracker: PORT {port} ")
    assert "in use" in result.stderr


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("nowhere.invalid", "'nowhere.invalid' can't be resolved"),
        ("a..b", "'a..b' can't be resolved"),
        ("192.0.2.1", "192.0.2.1 "),
    ],
)
def test_host_that_is_not_this_machine_is_named(host: str, message: str) -> None:
    result = run("serve", HOST=host, PORT="0", STORE_URL="memory://")
    assert result.returncode == 1
    assert result.stderr.startswith(f"btc-price-tracker: HOST {message}")


@contextmanager
def serving(files: CertificateFiles) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that serves HTTPS with the certificate, and its URL as the log has it."""
    environment = environment_of(
        PORT="0",
        STORE_URL="memory://",
        LOG_FORMAT="json",
        TLS_CERT=str(files.certificate),
        TLS_KEY=str(files.key),
        KRAKEN_URL="http://127.0.0.1:1",
        SOURCES="kraken",
    )
    command = [sys.executable, "-m", "btc_price_tracker", "serve"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, line_of(process, "serving")["url"]
        finally:
            process.terminate()
            process.communicate(timeout=60)


def line_of(process: "subprocess.Popen[str]", event: str) -> dict[str, str]:
    """The next line of the log with this event."""
    assert process.stderr is not None
    for line in process.stderr:
        fields: dict[str, str] = json.loads(line)
        if fields["event"] == event:
            return fields
    raise AssertionError(f"the process ended without {event!r}")


def served_certificate(url: str) -> str:
    host, _, port = url.removeprefix("https://").partition(":")
    return ssl.get_server_certificate((host, int(port)), timeout=60)


def test_sighup_reloads_the_certificate(tmp_path: Path) -> None:
    files = make_certificate(tmp_path / "old")
    with serving(files) as (process, url):
        assert url.startswith("https://localhost:")
        before = served_certificate(url)
        assert before == files.certificate.read_text()
        process.send_signal(signal.SIGHUP)
        line_of(process, "certificate reloaded")
        make_certificate(tmp_path / "new").install(files)
        process.send_signal(signal.SIGHUP)
        line_of(process, "certificate reloaded")
        assert served_certificate(url) == files.certificate.read_text() != before


def test_unusable_certificate_is_named(tmp_path: Path) -> None:
    result = run("serve", PORT="0", STORE_URL="memory://", TLS_CERT=str(tmp_path / "none"), TLS_KEY="/none")
    assert result.returncode == 2
    assert result.stderr.startswith("btc-price-tracker: invalid settings:\n  TLS_CERT: ")
    assert "Traceback" not in result.stderr
