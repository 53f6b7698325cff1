"""`check`: what it tries and prints."""

import socket
import sqlite3
from pathlib import Path

import pytest

from btc_price_tracker.errors import HttpClientError
from btc_price_tracker.http_client.check import check_connectivity
from btc_price_tracker.store import open_store
from command import run
from live import a_tick


@pytest.mark.parametrize("named", ["http://127.0.0.1:1", "socks5h://127.0.0.1:1", "http://-.invalid:3128"])
def test_check_tells_of_a_proxy_that_does_not_answer(named: str) -> None:
    result = run("check", HTTPS_PROXY=named, STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("btc-price-tracker: HTTPS_PROXY can't be used: ")
    assert result.stderr.endswith("; give a proxy that does, or unset it\n")
    assert run("check", HTTPS_PROXY=named, STORE_URL="memory://", NO_PROXY="*").returncode == 0


async def test_a_proxy_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        silent = rf"127\.0\.0\.1:{port} doesn't answer \(no connection within"
        with (
            socket.create_connection(("127.0.0.1", port)),  # fills the backlog
            pytest.raises(HttpClientError, match=silent),
        ):
            await check_connectivity(["https://example.com"], 0.2)


def test_check_tells_of_a_host_that_is_not_ours() -> None:
    result = run("check", HOST="192.0.2.1", STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert "HOST 192.0.2.1 is no address of this machine" in result.stderr


async def test_check_minds_no_server_that_runs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("check", PORT=str(taken.getsockname()[1]), STORE_URL="memory://")
    assert result.returncode == 0


def test_check_opens_the_store_and_shows_no_secret(tmp_path: Path) -> None:
    result = run("check", STORE_URL=f"sqlite:///{tmp_path}/prices.db", COINGECKO_API_KEY="CG-secret")
    assert result.returncode == 0
    assert "no prices yet" in result.stdout
    assert f"The store is SQLite {sqlite3.sqlite_version}, in {tmp_path}/prices.db.\n" in result.stdout
    assert "CG-secret" not in result.stdout + result.stderr
    assert "COINGECKO_API_KEY=***" in result.stdout


@pytest.mark.parametrize("tick_id", [1764000000123456, 2**63 - 1])
async def test_check_survives_an_id_that_is_no_time(tick_id: int, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/prices.db"
    store = await open_store(url, capacity=1)
    await store.append([a_tick(1), a_tick(tick_id)])
    await store.close()
    result = run("check", STORE_URL=url)
    assert result.returncode == 0
    assert f"to the id {tick_id}, which is no time" in result.stdout


@pytest.mark.parametrize("retention", ["12h", "90d", "45s", "90m", "0"])
def test_check_shows_a_retention_that_can_be_set(retention: str, tmp_path: Path) -> None:
    shown = run("check", RETENTION=retention, STORE_URL=f"sqlite:///{tmp_path}/prices.db").stdout
    assert f"RETENTION={retention}\n" in shown


def test_check_says_why_a_store_does_not_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("check", STORE_URL=f"sqlite:///{tmp_path}/file/prices.db")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "file/prices.db" in result.stderr
