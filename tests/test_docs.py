"""The documentation matches the code: links, commands, settings, log events, metrics, paths and programs."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from btc_price_tracker.cli.flags import add_flags
from btc_price_tracker.cli.main import COMMANDS
from btc_price_tracker.cli.parser import Parser
from btc_price_tracker.settings import Settings
from btc_price_tracker.settings.values import setting_text
from btc_price_tracker.telemetry.metrics import METRICS
from btc_price_tracker.testing import ManualClock
from live import Client, live

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/btc_price_tracker"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs/tutorial.md").read_text()
LOG_EVENTS = (ROOT / "docs/reference/log-events.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def shell_lines() -> list[str]:
    lines = [
        line for page in PAGES for block in blocks(page.read_text(), "sh") for line in block.splitlines()
    ]
    return sorted({" ".join(shlex.split(line, comments=True)) for line in lines} - {""})


def section(page: str, title: str) -> str:
    return (ROOT / page).read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text()):
        assert (page.parent / link).exists(), link


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / link) for link in re.findall(r"\]\(([^)#:]+)\)", index.read_text())}
    pages = {page for page in linked if page.suffix == ".md"}
    assert pages | {index} == set((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("line", shell_lines())
def test_shell_commands_are_valid(line: str) -> None:
    words = [word for word in line.split() if not re.match(r"[A-Z_]+=", word)]
    if words[0] == "btc-price-tracker":
        parser = Parser(prog=f"btc-price-tracker {words[1]}")
        add_flags(parser, words[1])
        parser.parse(words[2:])
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[:2] == [".venv/bin/pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert words[-1].strip(".[]") in extras
    elif words[0] == "curl":
        path = urlsplit(words[-1]).path
        assert f"`GET {path}`" in (ROOT / "docs/reference/http.md").read_text()
    else:
        assert line == ". .venv/bin/activate"


def test_the_readme_shows_every_command() -> None:
    code = "\n".join(re.findall(r"```.*?```|`[^`]+`", README, re.DOTALL))
    assert set(re.findall(r"btc-price-tracker ([a-z]+)", code)) == set(COMMANDS)


def test_the_readme_has_the_defaults_of_settings() -> None:
    table = section("README.md", "Commands and settings")
    for names, defaults in re.findall(r"^\| `([A-Z].*?)` \| `(.*?)` \|", table, re.MULTILINE):
        for name, default in zip(names.split("`, `"), defaults.split("`, `"), strict=True):
            value = Settings.model_fields[name.lower()].default
            assert default == setting_text(name.lower(), value)


def test_paths_in_the_architecture_exist() -> None:
    named = set(
        re.findall(
            r"`([a-z_]+/(?:[\w/]+\.py)?|[a-z_]+(?:/\w+)*\.py)`", (ROOT / "docs/architecture.md").read_text()
        )
    )
    assert named
    assert not [name for name in named if not (SOURCE / name).exists() and not (ROOT / name).exists()]


def test_log_events_to_troubleshoot_exist() -> None:
    table = section("docs/how-to/troubleshooting.md", "By log event")
    events = {
        event
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for event in re.findall(r"`(.*?)`", row)
    }
    assert not [event for event in events - {"stale"} if f"| `{event}" not in LOG_EVENTS]


def test_reasons_to_troubleshoot_exist() -> None:
    table = section("docs/how-to/troubleshooting.md", "By reason")
    source = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    reasons = [
        text
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for text in re.findall(r"`(.*?)`", row)
    ]
    assert reasons
    assert not [reason for reason in reasons if reason not in source]


def test_metrics_to_monitor_exist() -> None:
    names = set(re.findall(r"btc_\w+", (ROOT / "docs/how-to/monitoring.md").read_text()))
    assert names
    series = {metric.series for metric in METRICS}
    assert {name.removesuffix("_bucket") for name in names} - {"btc_price_tracker"} <= series


async def test_the_example_of_a_price_has_its_fields() -> None:
    (example,) = blocks(TUTORIAL, "json")
    async with live(ManualClock()) as server:
        await server.publish()
        async with await Client.get(server.port, "/prices/latest") as client:
            price = json.loads(await client.body())
    assert list(json.loads(example)) == list(price)


async def test_the_example_of_a_stream_has_its_events() -> None:
    example = [json.loads(data) for data in re.findall(r"^data: (.*)", README, re.MULTILINE)]
    async with live(ManualClock()) as server:
        await server.publish()
        async with await Client.get(server.port, "/prices/stream") as client:
            events = await client.events(len(example))
    assert [list(data) for data in example] == [list(event.data) for event in events]


@pytest.mark.parametrize(
    ("number", "end"),
    [(0, ""), (1, 'for price in prices("0"):\n    print(price["id"])\n')],
    ids=["follow", "resume"],
)
async def test_programs_of_the_tutorial_run(number: int, end: str) -> None:
    async with live(ManualClock()) as server:
        tick_id = await server.publish()
        program = blocks(TUTORIAL, "python")[number].replace("http://localhost:8082", server.url) + end
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-c", program, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        line = await process.stdout.readline()
        process.kill()
        await process.communicate()
    assert line.split()[0] == str(tick_id).encode()


def test_no_file_names_a_registry() -> None:
    locks = [*ROOT.glob("requirements/*.txt"), *ROOT.glob("tests/**/package-lock.json")]
    locks += [*ROOT.glob("tests/**/go.mod"), *ROOT.glob("tests/**/go.sum")]
    assert locks
    for lock in locks:
        assert "://" not in lock.read_text(), lock.name
