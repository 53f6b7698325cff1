"""Clients that vanish without a word: their machine is off, or the network between is. In a namespace of its own."""

import asyncio
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

DEAD_PEERS = Path(__file__).with_name("dead_peers.py")


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    if not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("ip and unshare are missing (apt-get install iproute2 util-linux)")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make network namespaces")


async def test_vanished_clients_are_forgotten_and_others_stay() -> None:
    process = await asyncio.create_subprocess_exec(
        *("unshare", "--net", "--mount", sys.executable, DEAD_PEERS),
        env={
            "PYTHONPATH": ":".join([str(DEAD_PEERS.parents[1]), *sys.path]),
            "PATH": "/usr/bin:/usr/sbin:/bin",
        },
        stdout=PIPE,
        stderr=PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 150)
    assert process.returncode == 0, errors.decode()
    assert output.decode().split() == ["vanished", "forgotten", "unharmed"]
