"""A name server that doesn't answer, on the system's own resolver: a process with a resolv.conf of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faults.hung_names import HUNG, WELL

SERVER = "127.9.9.9"  # loopback, where no other name server listens


def in_own_namespace(resolv_conf: Path, *command: str) -> list[str]:
    """The command, with this file as its /etc/resolv.conf."""
    mount = 'mount --make-rprivate / && mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mount, str(resolv_conf), *command]


@pytest.fixture
def resolv_conf(tmp_path: Path) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text(f"nameserver {SERVER}\n")
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may give a process a name server of its own, with unshare")
    tried = subprocess.run(in_own_namespace(path, "true"), check=False, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no mount namespace here: {tried.stderr.strip()}")
    return path


def test_hanging_lookups_delay_no_other_source(resolv_conf: Path) -> None:
    child = [sys.executable, str(Path(__file__).with_name("hung_names.py")), SERVER]
    done = subprocess.run(in_own_namespace(resolv_conf, *child), check=True, stdout=subprocess.PIPE)
    report = json.loads(done.stdout.splitlines()[-1])  # after the log
    assert [report["faults"][name] for name in WELL] == [None] * len(WELL)
    assert all(report["faults"][name] for name in HUNG)
    assert report["names"] == ["127.0.0.1"]
