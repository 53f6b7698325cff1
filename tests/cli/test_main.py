"""The commands as a user has them: exit codes, and faults in words."""

from pathlib import Path

import pytest

from command import run


def test_help_lists_the_commands() -> None:
    result = run("--help")
    assert result.returncode == 0
    for command in ("serve", "demo", "sources", "check", "history", "export", "import"):
        assert command in result.stdout


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["serve", "--help"], ["check"]])
def test_the_commands_work_without_docstrings(words: list[str]) -> None:
    result = run(*words, PYTHONOPTIMIZE="2", STORE_URL="memory://")
    assert (result.returncode, result.stderr) == (0, "")


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
