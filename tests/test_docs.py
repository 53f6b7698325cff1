"""The documentation says what the code does."""

import re
from pathlib import Path

import pytest

from btc_price_tracker.cli.main import COMMANDS
from btc_price_tracker.settings import Settings

ROOT = Path(__file__).parent.parent
OPERATIONS = (ROOT / "docs/operations.md").read_text()
SETTINGS = OPERATIONS.partition("## Settings")[2].partition("## Stores")[0]


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    documented = {name for name in re.findall(r"`([A-Z][A-Z_]+)`", SETTINGS) if name != "STORE_URL"}
    assert documented == {name.upper() for name in Settings.model_fields} - {"STORE_URL"}
    assert "| `STORE_URL` |" in SETTINGS


@pytest.mark.parametrize("name", ["host", "port", "policy", "store_size", "log_level", "log_format"])
def test_a_documented_default_is_the_default(name: str) -> None:
    assert f"| `{name.upper()}` | `{Settings.model_fields[name].default}` |" in SETTINGS


def test_every_link_between_the_pages_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_readme_shows_every_command_and_no_other() -> None:
    code = re.findall(r"```.*?```|`[^`]+`", (ROOT / "README.md").read_text(), re.DOTALL)
    assert set(re.findall(r"btc-price-tracker ([a-z]+)", "\n".join(code))) == set(COMMANDS)


def test_no_file_names_a_registry() -> None:
    locks = [*ROOT.glob("requirements/*.txt"), *ROOT.glob("tests/**/package-lock.json")]
    locks += [*ROOT.glob("tests/**/go.mod"), *ROOT.glob("tests/**/go.sum")]
    assert locks
    for lock in locks:
        assert "://" not in lock.read_text(), lock.name
