"""Look for known vulnerabilities in the locked packages, with pip-audit and the database at osv.dev (`make audit`)."""

import subprocess
import sys
from pathlib import Path

LOCKS = sorted(Path(__file__).parent.glob("*.txt"))
TIMEOUT = 15  # seconds for a connection to the database
OPTIONS = ["--vulnerability-service", "osv", "--disable-pip", "--progress-spinner", "off"]


def audit(lock: Path) -> bool:
    """Whether no locked package has a known vulnerability; pip-audit lists those it finds. Exits if it can't tell."""
    command = [sys.executable, "-m", "pip_audit", *OPTIONS, "--timeout", str(TIMEOUT)]
    done = subprocess.run(
        [*command, "--requirement", str(lock)], stderr=subprocess.PIPE, text=True, check=False
    )
    lines = done.stderr.strip().splitlines() or ["no output"]
    if done.returncode not in {0, 1} or "Traceback" in done.stderr:
        sys.exit(
            f"audit: could not look up {lock.name} at osv.dev, so nothing is known about it. This needs the"
            f" internet (HTTPS_PROXY is honoured).\nThe last error: {lines[-1]}"
        )
    sys.stderr.write(done.stderr)
    return done.returncode == 0


def main() -> None:
    """Audit every lock. Exits with 1 if any has a vulnerable package, or could not be looked up."""
    clean = [audit(lock) for lock in LOCKS]
    sys.exit(not all(clean))


if __name__ == "__main__":
    main()
