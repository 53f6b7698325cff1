"""Entry point: help, exit codes and error messages of the commands as a user runs them."""

from importlib import import_module
from pathlib import Path

import pytest

from btc_price_tracker.cli.main import COMMANDS
from command import run

NAMES = ("serve", "demo", "sources", "check", "doctor", "history", "export", "import")


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.returncode == 0
    for name in NAMES:
        assert name in result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_entry_of_each_command_exists(name: str) -> None:
    module, _, function = COMMANDS[name].entry.partition(":")
    assert callable(getattr(import_module(f"btc_price_tracker.cli.{module}"), function))


@pytest.mark.parametrize("arguments", [["--version"], ["serve", "--help"], ["check"]])
def test_commands_work_without_docstrings(arguments: list[str]) -> None:
    result = run(*arguments, PYTHONOPTIMIZE="2", STORE_URL="memory://")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a command first: serve, "),
        (["--port", "9000", "serve"], "give a command first"),
        (["dance"], "unknown command 'dance'; give one of serve, "),
        (["exprot"], "unknown command 'exprot'; did you mean export?"),
        (["demo", "--speed", "0"], "give a number above 0"),
        (["demo", "--speed", "abc"], "give a number above 0"),
    ],
)
def test_invalid_arguments_exit_with_2(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: ")
    assert message in result.stderr


def test_secret_as_a_flag_is_refused_and_never_shown() -> None:
    for arguments in (
        ["serve", "--metrics-token", "hunter2"],
        ["serve", "--metric-token=hunter2"],
        ["--metrics-token", "hunter2", "serve"],
    ):
        result = run(*arguments, PORT="x")
        assert result.returncode == 2
        assert "hunter2" not in result.stdout + result.stderr


def test_missing_file_is_reported_without_an_error_number(tmp_path: Path) -> None:
    for arguments in (["import", f"{tmp_path}/none.csv"], ["export", f"{tmp_path}/none/x.csv"]):
        result = run(*arguments, STORE_URL=f"sqlite:///{tmp_path}/prices.db")
        assert result.returncode == 1
        assert result.stderr.startswith(f"btc-price-tracker: {tmp_path}/none")
        assert result.stderr.endswith(": no such file or directory\n")


def test_flag_overrides_the_environment() -> None:
    result = run("check", "--port", "9000", PORT="9001", STORE_URL="memory://")
    assert result.returncode == 0
    assert "PORT=9000" in result.stdout
