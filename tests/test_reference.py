"""The pages in docs/reference are generated from the code and up to date."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs/reference"


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docs/generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_reference_is_up_to_date() -> None:
    result = generate("--check")
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_outdated_pages_are_reported_and_rewritten(tmp_path: Path) -> None:
    for page in REFERENCE.iterdir():
        (tmp_path / page.name).write_text(page.read_text().replace("btc_price_usd", "btc_price_eur"))
    result = generate("--check", str(tmp_path))
    assert (result.stdout, result.returncode) == ("metrics.md is out of date: run `make docs`\n", 1)
    assert generate(str(tmp_path)).returncode == 0
    assert (tmp_path / "metrics.md").read_text() == (REFERENCE / "metrics.md").read_text()
