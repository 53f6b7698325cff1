"""The command in a process of its own: what `make demo` and a restart of it are to a browser."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from command import UNLIMITED
from ports import free_port

DEADLINE = 60  # seconds for a server to answer on a busy machine


class Server:
    """`btc-price-tracker` in a process of its own, on a port and with flags that outlive it."""

    def __init__(self, command: str, **flags: str) -> None:
        self._words = [command, *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())]
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://localhost:{self._port}"
        self.plain_url = f"http://tracker.test:{self._port}"  # see the browser's flags

    def start(self) -> None:
        """Return once it answers."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "btc_price_tracker", *self._words, "--port", str(self._port)],
            env={**os.environ, **UNLIMITED, "LOG_LEVEL": "error"},
        )
        give_up = time.monotonic() + DEADLINE
        while not self._answers():
            assert self._process.poll() is None, "the server has ended"
            assert time.monotonic() < give_up, "the server does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stream_ids(self, since: int, last: int) -> list[int]:
        """The ids that a stream of our own gets from `since` (seconds) up to and including `last`."""
        ids: list[int] = []
        with urllib.request.urlopen(f"{self.url}/prices/stream?since={since}", timeout=DEADLINE) as stream:
            for line in stream:
                if line.startswith(b"id:"):
                    ids.append(int(line[3:]))
                if ids and ids[-1] >= last:
                    break
        return ids

    def metric(self, name: str) -> int:
        """A number that `/metrics` has without labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=DEADLINE) as answer:
            lines = answer.read().decode().splitlines()
        return int(float(next(line for line in lines if line.startswith(f"{name} ")).split()[1]))

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=DEADLINE) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()
