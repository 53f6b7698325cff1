"""The standard streams of commands: closed, full, interrupted."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from command import environment_of, run, shell
from ports import free_port

HEADER = "id,timestamp,price,status,sources,spread,age,quote_age,method,pair,recorded"
NOWHERE = {"KRAKEN_URL": "http://127.0.0.1:1", "SOURCES": "kraken"}


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store with more prices than a pipe holds."""
    lines = (
        f"{1764000000123 + n},1764000000,69420.10,ok,3,3.10,0,120,vote3-ped/1,BTC/USD,false"
        for n in range(5000)
    )
    (tmp_path / "prices.csv").write_text("\n".join([HEADER, *lines, ""]))
    url = f"sqlite:///{tmp_path}/prices.db"
    assert run("import", str(tmp_path / "prices.csv"), STORE_URL=url).returncode == 0
    return url


@pytest.mark.parametrize("command", [["sources"], ["serve", "--help"]])
def test_unencodable_characters_are_replaced(command: list[str]) -> None:
    result = run(*command, PYTHONIOENCODING="ascii", **NOWHERE)
    assert result.returncode in (0, 1)
    assert "Traceback" not in result.stderr
    assert "?" in result.stdout


def test_a_closed_pipe_ends_an_export_silently(store: str) -> None:
    result = shell("$TRACKER export | head -1; exit ${PIPESTATUS[0]}", STORE_URL=store)
    assert (result.stdout, result.stderr) == (HEADER + "\n", "")
    assert result.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("command", ["check", "export"])
def test_closed_stdout_is_reported(store: str, command: str) -> None:
    result = shell(f"$TRACKER {command} >&-", STORE_URL=store)
    assert (result.returncode, result.stderr) == (1, "btc-price-tracker: standard output is closed\n")


def test_closed_stdin_is_reported() -> None:
    result = shell("$TRACKER import - <&-", STORE_URL="memory://")
    assert (result.returncode, result.stderr) == (1, "btc-price-tracker: standard input is closed\n")


def test_unused_closed_streams_are_ignored(store: str, tmp_path: Path) -> None:
    moved = shell(
        "$TRACKER export $FILE >&- && $TRACKER import $FILE <&-",
        STORE_URL=store,
        FILE=f"{tmp_path}/moved.csv",
    )
    assert (moved.returncode, moved.stderr) == (0, "5000 prices written\n5000 prices read, 0 of them new\n")


@pytest.mark.parametrize(
    ("command", "code", "shown"), [("check", 0, "settings are valid"), ("sources", 1, "no price")]
)
def test_commands_run_with_closed_stderr(command: str, code: int, shown: str) -> None:
    result = shell(f"$TRACKER {command} 2>&-", STORE_URL="memory://", **NOWHERE)
    assert result.returncode == code
    assert shown in result.stdout


def test_messages_never_mix_into_an_export() -> None:
    assert shell("$TRACKER export 2>&-", STORE_URL="memory://").stdout == HEADER + "\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_server_runs_with_closed_streams(closed: str) -> None:
    port = free_port()
    process = subprocess.Popen(
        ["bash", "-c", f"exec {sys.executable} -m btc_price_tracker serve {closed}"],
        env=environment_of(PORT=str(port), STORE_URL="memory://", **NOWHERE),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert _responds(process, port)
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def _responds(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the server responds before it exits."""
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET /sources HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return client.recv(12) == b"HTTP/1.1 200"
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("command", ["check", "export"])
def test_a_full_output_is_reported(store: str, command: str) -> None:
    result = shell(f"$TRACKER {command} > /dev/full", STORE_URL=store)
    assert result.returncode == 1
    assert result.stderr.endswith("btc-price-tracker: no space left on device\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_early_signals_cause_no_traceback(number: signal.Signals) -> None:
    process = (
        subprocess.Popen(  # SIGINT is ignored in what a shell runs in the background, as a job of CI may be
            [
                "env",
                "--default-signal=INT",
                sys.executable,
                *["-X", "importtime", "-m", "btc_price_tracker", "check"],
            ],
            env=environment_of(STORE_URL="memory://"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pipesize=4096,  # so that it can't get far while we read
            text=True,
        )
    )
    assert process.stderr is not None
    for line in process.stderr:  # the settings are being imported
        if "btc_price_tracker.sources.parsing" in line:
            process.send_signal(number)
            break
    _, errors = process.communicate(timeout=60)
    # Interrupted in an exec() of source text, as NamedTuple does, `python -m` is killed by SIGINT itself.
    assert process.returncode in {128 + number, -signal.SIGINT if number == signal.SIGINT else 128 + number}
    assert "Traceback" not in errors


def test_log_lines_never_mix_into_an_export(tmp_path: Path) -> None:
    (tmp_path / "prices.db").write_bytes(b"no database any more" * 1000)
    (tmp_path / "prices.db.lock").write_bytes(b"4711\n")  # of a killed server
    result = run("export", STORE_URL=f"sqlite:///{tmp_path}/prices.db")
    assert result.stdout == HEADER + "\n"
    assert "damaged database replaced" in result.stderr
