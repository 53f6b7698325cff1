"""`check`: what it tries and prints."""

import socket
import sqlite3
from pathlib import Path

import pytest

from broker import valkey
from btc_price_tracker.errors import HttpClientError
from btc_price_tracker.http_client.check import check_connectivity
from btc_price_tracker.store import open_store
from certificates import make_certificate
from command import run
from live import a_tick


def test_check_shows_store_and_settings_without_secrets(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/prices.db"
    result = run("check", STORE_URL=url, COINGECKO_API_KEY="CG-secret", RETENTION="12h")
    assert result.returncode == 0
    assert "The settings are valid; the store opened and holds no prices yet.\n" in result.stdout
    assert f"The store is SQLite {sqlite3.sqlite_version}, in {tmp_path}/prices.db.\n" in result.stdout
    assert "RETENTION=12h\n" in result.stdout
    assert "CG-secret" not in result.stdout + result.stderr
    assert "COINGECKO_API_KEY=***" in result.stdout


@pytest.mark.parametrize("tick_id", [1764000000123456, 2**63 - 1])
async def test_id_that_is_not_a_time_is_shown_as_a_number(tick_id: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/prices.db"
    store = await open_store(url, capacity=1)
    await store.append([a_tick(1), a_tick(tick_id)])
    await store.close()
    result = run("check", STORE_URL=url)
    assert result.returncode == 0
    assert f"to the id {tick_id}, which is not a time" in result.stdout


def test_store_that_does_not_open_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("check", STORE_URL=f"sqlite:///{tmp_path}/file/prices.db")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "file/prices.db" in result.stderr


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5h://127.0.0.1:1", "http://-.invalid:3128"])
def test_proxy_that_does_not_answer_is_named(proxy: str) -> None:
    result = run("check", HTTPS_PROXY=proxy, STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("btc-price-tracker: HTTPS_PROXY can't be used: ")
    assert result.stderr.endswith(", or unset it\n")


def test_proxy_that_is_not_needed_is_not_tried() -> None:
    result = run("check", HTTPS_PROXY="http://127.0.0.1:1", STORE_URL="memory://", NO_PROXY="*")
    assert result.returncode == 0


async def test_silent_proxy_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with (
            socket.create_connection(("127.0.0.1", port)),  # fills the backlog
            pytest.raises(HttpClientError, match=rf"127\.0\.0\.1:{port} .*no connection within"),
        ):
            await check_connectivity(["https://example.com"], 0.2)


def test_host_of_another_machine_is_refused() -> None:
    result = run("check", HOST="192.0.2.1", STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert "HOST 192.0.2.1 " in result.stderr


def test_port_in_use_by_a_running_server_is_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("check", PORT=str(taken.getsockname()[1]), STORE_URL="memory://")
    assert result.returncode == 0


def test_broker_is_tried() -> None:
    with valkey.running() as server:
        result = run("check", BROKER_URL=server.new_url(), STORE_URL="memory://")
    assert (result.returncode, result.stderr) == (0, "")
    assert "The broker works; a probe came back through it within " in result.stdout


def test_broker_that_refuses_is_named_without_its_password() -> None:
    with valkey.running("--requirepass", "right") as server:
        url = f"redis://:not-this-one@127.0.0.1:{server.port}"
        result = run("check", BROKER_URL=url, STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert "it refuses the user or the password; correct BROKER_URL" in result.stderr
    assert "Traceback" not in result.stderr
    assert "not-this-one" not in result.stderr


@pytest.mark.parametrize("scheme", ["redis", "nats", "kafka"])
def test_broker_that_is_not_there_is_named(scheme: str) -> None:
    result = run("check", BROKER_URL=f"{scheme}://127.0.0.1:1", STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert "BROKER_URL" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["check", "serve"])
def test_malformed_broker_url_is_an_invalid_setting(command: str) -> None:
    result = run(command, BROKER_URL="redis://user:not-this-one@host:port", STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (2, "")
    assert "not-this-one" not in result.stderr


def test_certificate_is_tried(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    environment = {"STORE_URL": "memory://", "TLS_CERT": str(files.certificate), "TLS_KEY": str(files.key)}
    result = run("check", **environment)
    assert result.returncode == 0
    assert "The certificate can be used until " in result.stdout
    assert f"TLS_KEY={files.key}\n" in result.stdout
    files.key.unlink()
    result = run("check", **environment)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"TLS_KEY: '{files.key}' can't be read: no such file or directory" in result.stderr
