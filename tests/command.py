"""A command as a user runs it: a process with the environment that is given and little else."""

import os
import subprocess
import sys

KEPT = ("PATH", "HOME", "PYTHONPATH", "COVERAGE_PROCESS_CONFIG")
# Tests open all their streams from one address, and at once.
UNLIMITED = {
    "MAX_CLIENTS_PER_IP": "0",
    "CONNECT_RATE": "0",
    "CONNECT_RATE_PER_IP": "0",
    "REQUEST_RATE_PER_IP": "0",
}


def environment_of(**environment: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, **UNLIMITED, **environment}


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "btc_price_tracker", *words],
        env=environment_of(**environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `$TRACKER` is the program; the exit code is the program's."""
    tracker = {"TRACKER": f"{sys.executable} -m btc_price_tracker"}
    return subprocess.run(
        ["bash", "-c", line],
        env=environment_of(**tracker, **environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
