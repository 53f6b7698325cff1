"""Flags of each command, their help, and error messages that never show the value of a flag."""

import argparse
import re

import pytest

from btc_price_tracker.cli.flags import DEMO, add_flags
from btc_price_tracker.cli.parser import Parser
from btc_price_tracker.settings import SECRETS, Settings

SOURCE_URLS = {name for name in Settings.model_fields if name.endswith("_url")} - {"store_url", "broker_url"}
FLAGS = set(Settings.model_fields) - set(SECRETS)
STORE_FLAGS = {"store_url", "store_size", "retention", "log_level", "log_format"}


def parser(command: str) -> Parser:
    made = Parser(
        f"btc-price-tracker {command}",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_flags(made, command)
    return made


def flags_of(command: str) -> set[str]:
    names = re.findall(r"^  (?:-h, )?--([a-z-]+)", parser(command).format_help(), re.MULTILINE)
    return {name.replace("-", "_") for name in names} - {"help"}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("serve", FLAGS),
        ("check", FLAGS),
        ("doctor", FLAGS),
        ("demo", FLAGS - SOURCE_URLS | {"speed"}),
        ("sources", SOURCE_URLS | {"sources", "policy", "interval"}),
        ("export", STORE_FLAGS | {"format"}),
        ("import", STORE_FLAGS | {"format"}),
        ("history", {"url", "host", "port", "since", "until", "interval", "format", "plot"}),
    ],
)
def test_command_has_only_the_flags_that_it_uses(command: str, expected: set[str]) -> None:
    assert flags_of(command) == expected


def test_help_names_variables_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    shown = parser("serve").format_help()
    for text in (
        "(PORT; default: 8082)",
        "(STORE_URL or STORE_URL_FILE; default: ",
        "(RETENTION; default: 90d)",
        "(CORS_ORIGINS; default: *)",
        "(HEARTBEAT; default: 15)",
        "METRICS_TOKEN: bearer token",
        "COINGECKO_API_KEY: demo or pro API key",
    ):
        assert text in shown
    assert "COINGECKO_API_KEY" not in parser("export").format_help()
    demo = parser("demo").format_help()
    assert f"(default: {DEMO['sources']})" in demo
    assert "METRICS_TOKEN" in demo
    assert "COINGECKO" not in demo


REFUSED = (
    "--metrics-token is refused, because every user of this machine can see flags; set METRICS_TOKEN, or "
    "METRICS_TOKEN_FILE to the path of a file that holds it"
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("serve --metrics-token hunter2", REFUSED),
        ("serve --metrics-token=hunter2", REFUSED),
        ("serve --METRICS_TOKEN hunter2", REFUSED),
        ("serve --metrics-tokenhunter2", REFUSED),
        ("serve --metric-token hunter2", REFUSED),
        ("serve --metric-token=hunter2", REFUSED),
        ("serve --metrics hunter2", REFUSED),
        ("export --metric-token hunter2 file.csv", REFUSED),
        ("history --metrics-token hunter2", REFUSED),
        ("serve --prot hunter2", "unknown flag --prot; did you mean --port?"),
        ("serve --xyzzy=hunter2", "unknown flag --xyzzy"),
        ("serve --cors hunter2", "unknown flag --cors; did you mean --cors-origins?"),
        ("serve -phunter2", "unknown flag -p…"),
        ("serve -p=hunter2", "unknown flag -p…"),
        ("serve -- hunter2", "unknown flag --…"),
        ("serve hunter2", "too many arguments"),
        ("export --port hunter2", "export does not use --port"),
        ("demo --kraken-url hunter2", "demo does not use --kraken-url"),
        ("serve --xyzzy 1 --quux hunter2", "unknown flag --xyzzy; unknown flag --quux"),
    ],
)
def test_error_names_the_flag_but_never_its_value(
    line: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *arguments = line.split()
    with pytest.raises(SystemExit, match="2"):
        parser(command).parse(arguments)
    message = capsys.readouterr().err.partition("error: ")[2].strip()
    assert "hunter2" not in message
    assert message == expected
