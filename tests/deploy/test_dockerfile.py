"""The image, built and run as the Dockerfile says: not root, nothing to write but /data and /tmp, PID 1."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.dockerfile import Stage, build
from deploy.proxies import need
from ports import free_port

READ_ONLY = """
mount --bind "$0" "$0"; mount --bind "$0/data" "$0/data"; mount -t tmpfs tmpfs "$0/tmp"; mount -t proc proc "$0/proc"
mount -o remount,ro,bind "$0"; exec "$@"
"""


def healthy(stage: Stage, environment: Mapping[str, str]) -> bool:
    command = stage.chroot(*stage.health)
    return not subprocess.run(command, env=environment, capture_output=True, check=False).returncode


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def check_confinement(pid: int) -> None:
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Uid:\t10001\t10001" in status
    assert status.split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
    with pytest.raises(OSError, match="Read-only"):
        Path(f"/proc/{pid}/root/opt/x").touch()
    Path(f"/proc/{pid}/root/data/x").touch()


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_the_image_runs_confined_and_stops_on_sigterm(tmp_path: Path) -> None:
    unshare = [need("unshare"), "--mount", "--pid", "--fork", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no namespaces")
    stage = build(tmp_path)
    environment = {**stage.environment, "HOST": "127.0.0.1", "PORT": str(free_port())}
    program = stage.chroot(*stage.entrypoint, "demo")
    confined = [*unshare, "sh", "-ec", READ_ONLY, str(stage.root), *program]
    with subprocess.Popen(confined, env=environment) as process:
        try:
            while not healthy(stage, environment):  # the test's time limit ends a wait for nothing
                assert process.poll() is None
                time.sleep(0.2)
            first = child_of(process.pid)
            check_confinement(first)
            os.kill(first, signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()
