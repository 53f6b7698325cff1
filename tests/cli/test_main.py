"""The commands as a user has them: exit codes, and faults in words."""

import fcntl
import os
import socket
import sqlite3
from pathlib import Path

import pytest

from btc_price_tracker.store import open_store
from command import run, shell
from live import a_tick


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.returncode == 0
    for command in ("serve", "demo", "sources", "check", "history", "export", "import"):
        assert command in result.stdout


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["serve", "--help"], ["check"]])
def test_the_commands_work_without_docstrings(words: list[str]) -> None:
    result = run(*words, PYTHONOPTIMIZE="2", STORE_URL="memory://")
    assert (result.returncode, result.stderr) == (0, "")


def test_all_faults_of_the_settings_come_at_once() -> None:
    result = run(
        "serve", "--sources", "mtgox", PORT="99999", INTERVAL="0", STORE_URL="redis://x", RETENTION="1y"
    )
    assert result.returncode == 2
    for name in ("SOURCES", "PORT", "INTERVAL", "STORE_URL", "RETENTION"):
        assert name in result.stderr
    assert "mtgox" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_could_not_work_is_a_fault_from_the_start() -> None:
    faults = {
        "HOST": "a b",
        "CORS_ORIGINS": "https://example.com/",
        "KRAKEN_URL": "http://h:99999",
        "GEMINI_URL": "http://h/a b",
        "COINBASE_URL": "http://h/?a=b",
        "BITSTAMP_URL": "http://h/#a",
        "STORE_URL": "sqlite://x.db",
        "METRICS_TOKEN": "clé",
        "COINGECKO_API_KEY": "a key",
    }
    result = run("check", **faults)
    assert result.returncode == 2
    assert {line.split(":")[0].strip() for line in result.stderr.splitlines()[1:]} == set(faults)


def test_blanks_around_a_url_are_no_part_of_it() -> None:
    result = run("check", KRAKEN_URL=" http://h/ ", STORE_URL="memory://")
    assert "KRAKEN_URL=http://h\n" in result.stdout


def test_origins_are_compared_as_browsers_write_them() -> None:
    result = run("check", CORS_ORIGINS="https://Example.com:8080, null", STORE_URL="memory://")
    assert "CORS_ORIGINS=https://example.com:8080,null\n" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "begin with a command"),
        (["--port", "9000", "serve"], "begin with a command"),
        (["dance"], "there is no command 'dance'; give one of serve, "),
        (["exprot"], "there is no command 'exprot'; did you mean export?"),
        (["demo", "--speed", "0"], "give a number above 0"),
        (["demo", "--speed", "abc"], "give a number above 0"),
    ],
)
def test_a_wrong_call_is_exit_2(words: list[str], said: str) -> None:
    result = run(*words)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: ")
    assert said in result.stderr


def test_a_secret_is_refused_as_a_flag_and_never_shown() -> None:
    for words in (
        ["serve", "--metrics-token", "hunter2"],
        ["serve", "--metric-token=hunter2"],
        ["--metrics-token", "hunter2", "serve"],
    ):
        result = run(*words, PORT="x")
        assert result.returncode == 2
        assert "hunter2" not in result.stdout + result.stderr


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim\n")
    result = run("check", METRICS_TOKEN_FILE=str(tmp_path / "token"), STORE_URL="memory://")
    assert "METRICS_TOKEN=***" in result.stdout
    assert "geheim" not in result.stdout + result.stderr


def test_a_file_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    for words in (["import", f"{tmp_path}/none.csv"], ["export", f"{tmp_path}/none/x.csv"]):
        result = run(*words, STORE_URL="memory://")
        assert result.returncode == 1
        assert result.stderr.startswith(f"btc-price-tracker: {tmp_path}/none")
        assert result.stderr.endswith(": no such file or directory\n")


def test_a_flag_wins_over_the_environment(tmp_path: Path) -> None:
    result = run("check", "--port", "9000", PORT="9001", STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert result.returncode == 0
    assert "PORT=9000" in result.stdout


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


@pytest.mark.parametrize(
    "url", ["h", "ftp://h", "http://h:port", "http://h?a", r"http://a\b", "http://é..com"]
)
def test_a_source_at_what_is_no_url_is_refused(url: str) -> None:
    result = run("check", KRAKEN_URL=url, STORE_URL="memory://")
    assert result.returncode == 2
    assert "give a base URL like https://api.example.com, without a query" in result.stderr


@pytest.mark.parametrize("url", ["http://u:hidden@h/x", "ftp://u:hidden@h", "http://u:hidden@h:port"])
def test_no_secret_in_a_url_is_shown(url: str) -> None:
    result = run("check", KRAKEN_URL=url, STORE_URL="memory://")
    assert "KRAKEN_URL" in result.stdout + result.stderr
    assert "hidden" not in result.stdout + result.stderr


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


def test_sources_without_a_quorum_is_exit_1() -> None:
    result = run(
        "sources", SOURCES="kraken,gemini", KRAKEN_URL="http://127.0.0.1:1", GEMINI_URL="http://127.0.0.1:1"
    )
    assert result.returncode == 1
    assert "kraken" in result.stdout
    assert "no price" in result.stdout


def test_an_address_in_use_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", PORT=port, STORE_URL="memory://")
    assert result.returncode == 1
    assert result.stderr.startswith(f"btc-price-tracker: PORT {port} of 127.0.0.1 is in use: ")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nowhere.invalid", "'nowhere.invalid' can't be resolved"),
        ("a..b", "'a..b' can't be resolved"),
        ("192.0.2.1", "192.0.2.1 is no address of this machine"),
    ],
)
def test_an_address_that_is_not_ours_is_said_in_words(host: str, words: str) -> None:
    result = run("serve", HOST=host, PORT="0", STORE_URL="memory://")
    assert result.returncode == 1
    assert result.stderr.startswith(f"btc-price-tracker: HOST {words}: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody unknown")
def test_a_user_without_a_home_is_asked_for_a_store() -> None:
    result = shell("unset HOME; setpriv --reuid=54321 --clear-groups $TRACKER check")
    assert result.returncode == 2
    assert "STORE_URL: this user has no home" in result.stderr


def test_export_and_import_move_history(tmp_path: Path) -> None:
    header = "id,timestamp,price,status,sources,spread,age,quote_age,method,pair,recorded"
    csv = f"{header}\n1764000000123,1764000000,69420.10,ok,3,3.10,0,0,vote3-ped/1,BTC/USD,false\n"
    (tmp_path / "prices.csv").write_text(csv)
    store = f"sqlite:///{tmp_path}/prices.db"
    result = run("import", str(tmp_path / "prices.csv"), STORE_URL=store)
    assert (result.returncode, result.stderr) == (0, "1 prices read, 1 of them new\n")
    assert run("export", STORE_URL=store).stdout == csv


def test_an_import_says_how_many_prices_were_new_and_a_name_says_the_format(tmp_path: Path) -> None:
    header = "id,price,status,sources,spread,age,method"
    (tmp_path / "prices.csv").write_text(f"{header}\n5,1.00,ok,3,3.10,0,x\n6,1.00,ok,3,3.10,0,x\n")
    store = f"sqlite:///{tmp_path}/prices.db"
    assert run("import", str(tmp_path / "prices.csv"), STORE_URL=store).stderr.startswith(
        "2 prices read, 2 of"
    )
    backup = tmp_path / "backup.jsonl"
    assert run("export", str(backup), STORE_URL=store).returncode == 0
    assert backup.read_text().startswith('{"id":5,')
    with backup.open("a") as file:
        file.write(backup.read_text().splitlines()[0].replace('"id":5', '"id":7') + "\n")
    result = run("import", str(backup), STORE_URL=store)
    assert (result.returncode, result.stderr) == (0, "3 prices read, 1 of them new\n")
    assert run("export", str(backup), "--format", "csv", STORE_URL=store).returncode == 0
    assert backup.read_text().startswith("id,timestamp,price")


@pytest.mark.parametrize("scheme", ["sqlite:///", "memory://"])
@pytest.mark.parametrize("suffix", ["", ".lock"])
async def test_an_export_over_the_store_is_refused(tmp_path: Path, scheme: str, suffix: str) -> None:
    path = tmp_path / "prices"
    store = await open_store(f"{scheme}{path}", capacity=10)
    await store.append([a_tick(1)])
    await store.close()
    before = contents(tmp_path)
    result = run("export", f"{path}{suffix}", STORE_URL=f"{scheme}{path}")
    assert result.returncode == 1
    assert (
        f"{path}{suffix} belongs to the store {path} and isn't overwritten; name another file"
        in result.stderr
    )
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_byte_order_mark_is_not_in_the_way(tmp_path: Path) -> None:
    csv = "id,price,status,sources,spread,age,method\n5,1.00,ok,3,3.10,0,x\n"
    (tmp_path / "prices.csv").write_text(csv, encoding="utf-8-sig")
    result = run("import", str(tmp_path / "prices.csv"), STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert (result.returncode, result.stderr) == (0, "1 prices read, 1 of them new\n")


@pytest.mark.parametrize("command", ["serve", "check", "export"])
@pytest.mark.parametrize(
    "url", ["mongodb://", "mongodb://h", "mongodb://h:0/d", "mongodb://u:p@ss@h/d", "postgresql://["]
)
def test_a_url_that_no_store_will_ever_come_of_is_a_bad_setting(command: str, url: str) -> None:
    result = run(command, STORE_URL=url, PORT="0")
    assert result.returncode == 2
    assert "these settings can't be used:\nSTORE_URL can't be " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["file", "-"])
def test_a_file_that_is_no_text_is_refused_in_words(tmp_path: Path, name: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes(b"id,price,status,sources,spread,age,method\n5,1.00,ok,3,3.10,0,\xff\n")
    words = f"'{file}'" if name == "file" else f"- < '{file}'"
    result = shell(f"$TRACKER import {words}", STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert result.returncode == 1
    assert "the file is no UTF-8 text" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_export_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    backup, store = tmp_path / "backup.csv", tmp_path / "prices.db"
    backup.write_text("yesterday's")
    with Path(f"{store}.lock").open("ab") as lock:  # as a server that runs holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = run("export", str(backup), STORE_URL=f"sqlite:///{store}")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert backup.read_text() == "yesterday's"
    assert set(tmp_path.iterdir()) <= {backup, store, Path(f"{store}.lock")}


def test_an_export_takes_the_place_of_the_file_before(tmp_path: Path) -> None:
    backup, link = tmp_path / "backup.csv", tmp_path / "latest.csv"
    backup.write_text("yesterday's")
    backup.chmod(0o600)
    link.symlink_to(backup)
    assert run("export", str(link), STORE_URL="memory://").returncode == 0
    assert backup.read_text() == (
        "id,timestamp,price,status,sources,spread,age,quote_age,method,pair,recorded\n"
    )
    assert backup.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    assert set(tmp_path.iterdir()) == {backup, link}


def test_an_export_to_a_pipe_writes_into_the_pipe(tmp_path: Path) -> None:
    result = run("export", "/dev/stdout", STORE_URL="memory://")
    assert result.returncode == 0
    assert result.stdout.startswith("id,")


def test_history_says_that_nobody_is_there() -> None:
    result = run("history", "http://127.0.0.1:1")
    assert result.returncode == 1
    assert "127.0.0.1:1 can't be reached" in result.stderr
