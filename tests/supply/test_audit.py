"""`make audit`: tells what is vulnerable from what could not be looked up. pip-audit itself needs the internet."""

import subprocess
import sys
from pathlib import Path

import pytest

from audit import LOCKS

SCRIPT = LOCKS[0].parent / "audit.py"
UNREACHABLE = "import json, sys; json.loads('')"
VULNERABLE = (
    "import sys; print('attrs 1 PYSEC-1'); print('Found 1 known vulnerability', file=sys.stderr); sys.exit(1)"
)
CLEAN = "import sys; print('No known vulnerabilities found', file=sys.stderr)"


def run(folder: Path, pip_audit: str) -> subprocess.CompletedProcess[str]:
    (folder / "pip_audit.py").write_text(f"print('asked')\n{pip_audit}\n")
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_database_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, UNREACHABLE)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "audit: could not look up audit.txt at osv.dev, so nothing is known about it."
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("pip_audit", "code"), [(VULNERABLE, 1), (CLEAN, 0)])
def test_every_lock_is_looked_up(tmp_path: Path, pip_audit: str, code: int) -> None:
    done = run(tmp_path, pip_audit)
    assert done.returncode == code
    assert done.stdout.count("asked") == len(LOCKS)
    assert done.stdout.count("PYSEC-1") == (len(LOCKS) if code else 0)
