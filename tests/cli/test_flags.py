"""Each command has the flags that it uses; what is wrong with a call is said without the values in it."""

import argparse
import re

import pytest

from btc_price_tracker.cli.flags import DEMO, add_flags
from btc_price_tracker.cli.parser import Parser
from btc_price_tracker.settings import SECRETS, Settings

OF_ALL = {"help"}
SOURCE_URLS = {name for name in Settings.model_fields if name.endswith("_url") and name != "store_url"}
FLAGS = set(Settings.model_fields) - set(SECRETS)
OF_THE_STORE = {"store_url", "store_size", "retention", "log_level", "log_format"}


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
    return {name.replace("-", "_") for name in names} - OF_ALL


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("serve", FLAGS),
        ("check", FLAGS),
        ("demo", FLAGS - SOURCE_URLS | {"speed"}),
        ("sources", SOURCE_URLS | {"sources", "policy", "interval"}),
        ("export", OF_THE_STORE | {"format"}),
        ("import", OF_THE_STORE | {"format"}),
        ("history", {"url", "host", "port", "since", "until", "interval", "format", "plot"}),
    ],
)
def test_a_command_has_the_flags_that_it_uses(command: str, expected: set[str]) -> None:
    assert flags_of(command) == expected


def test_help_names_variables_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    shown = parser("serve").format_help()
    for words in (
        "(PORT; default: 8082)",
        "(STORE_URL or STORE_URL_FILE; default: ",
        "(RETENTION; default: 90d)",
        "(CORS_ORIGINS; default: *)",
        "(HEARTBEAT; default: 15)",
        "METRICS_TOKEN: a bearer token",
        "COINGECKO_API_KEY: a demo or pro key",
    ):
        assert words in shown
    assert "COINGECKO_API_KEY" not in parser("export").format_help()
    demo = parser("demo").format_help()
    assert f"(default: {DEMO['sources']})" in demo
    assert "METRICS_TOKEN" in demo
    assert "COINGECKO" not in demo


def complaint(command: str, *words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit, match="2"):
        parser(command).parse(words)
    return capsys.readouterr().err.partition("error: ")[2].strip()


REFUSED = (
    "--metrics-token is refused, since every user of this machine can see flags; set METRICS_TOKEN, or "
    "METRICS_TOKEN_FILE to a file that holds it"
)


@pytest.mark.parametrize(
    ("words", "expected"),
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
        ("serve --prot hunter2", "there is no flag --prot; did you mean --port?"),
        ("serve --xyzzy=hunter2", "there is no flag --xyzzy"),
        ("serve --cors hunter2", "there is no flag --cors; did you mean --cors-origins?"),
        ("serve -phunter2", "there is no flag -p…"),
        ("serve -p=hunter2", "there is no flag -p…"),
        ("serve -- hunter2", "there is no flag --…"),
        ("serve hunter2", "there are too many words"),
        ("export --port hunter2", "export has no use for --port"),
        ("demo --kraken-url hunter2", "demo has no use for --kraken-url"),
        ("serve --xyzzy 1 --quux hunter2", "there is no flag --xyzzy; there is no flag --quux"),
    ],
)
def test_what_is_wrong_is_said_without_the_values(
    words: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = words.split()
    said = complaint(command, *rest, capsys=capsys)
    assert "hunter2" not in said
    assert said == expected
