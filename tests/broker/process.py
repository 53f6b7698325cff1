"""A server in a process of its own, and what can happen to it."""

import signal
import subprocess
from pathlib import Path


class ServerProcess:
    """Started by `start`, stopped, frozen or killed by its process id."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._log.parent, stdout=log, stderr=log)

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def words(self) -> str:
        return self._log.read_text(errors="replace")[-4000:]

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        if not self.ended:
            self._send(signal.SIGCONT)
            self._send(signal.SIGTERM)
            self.wait()

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait(60)
            self._process = None

    def _send(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)
