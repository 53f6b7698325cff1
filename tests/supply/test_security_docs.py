"""`docs/security.md` names settings that exist, and only targets that `make` has; its links are checked elsewhere."""

import re
from pathlib import Path

from btc_price_tracker.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/security.md").read_text()


def test_named_settings_exist() -> None:
    named = set(re.findall(r"`([A-Z][A-Z_]{3,})(?:=\w+)?`", TEXT)) - {"O_NOFOLLOW", "HEAD", "OPTIONS"}
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}


def test_named_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make (\w+)`", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_promise_has_three_columns() -> None:
    rows = re.findall(r"^\| (?!promise).*\|$", TEXT, re.MULTILINE)
    assert len(rows) > 25
    assert all(len(re.split(r" \| ", row.strip("| "))) == 3 for row in rows)
