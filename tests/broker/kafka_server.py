"""An Apache Kafka of one's own in KRaft mode, where there are Java and Maven, or its jars in KAFKA_JARS."""

import base64
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from platformdirs import user_cache_path

from broker.process import ServerProcess
from ports import free_port

POM = Path(__file__).with_name("kafka_jars.xml")
CONFIG = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={protocol}://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={protocol}://127.0.0.1:{port}
inter.broker.listener.name={protocol}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocol}:{protocol}
log.dirs={folder}/data
log.retention.check.interval.ms=86400000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
auto.create.topics.enable=false
"""
SASL = """
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p@ss" user_u="p@ss";
"""


class KafkaServer(ServerProcess):
    """One server; each test has a topic of its own."""

    def __init__(self, folder: Path, *, with_password: bool) -> None:
        self.port, controller = free_port(), free_port()
        self._names = (f"prices{number}" for number in count(1))
        protocol = "SASL_PLAINTEXT" if with_password else "PLAINTEXT"
        config = folder / "server.properties"
        text = CONFIG.format(port=self.port, controller=controller, protocol=protocol, folder=folder)
        config.write_text(text + (SASL if with_password else ""))
        heap = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        java = ["java", *heap, "-cp", f"{jars()}/*"]
        cluster = (
            base64.urlsafe_b64encode(b"btc" + uuid.uuid4().bytes[3:]).decode().rstrip("=")
        )  # no "-" first
        format_ = [*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config)]
        subprocess.run(format_, check=True, capture_output=True)
        super().__init__([*java, "kafka.Kafka", str(config)], folder / "log")

    def start(self) -> None:
        super().start()
        while True:  # the test's time limit ends a wait for nothing
            assert not self.ended, self.words
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return

    def new_url(self) -> str:
        """The URL of a topic that isn't there yet."""
        return f"kafka://127.0.0.1:{self.port}/{next(self._names)}"

    def connections(self, url: str) -> int:
        """How many this machine has to it."""
        port = f":{self.port:04X}"
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()]
        return sum(row[2].endswith(port) and row[3] == "01" for row in rows)

    async def write_garbage(self, url: str, tick_id: int) -> None:
        """Append what is no update, where the tick of an id would be."""
        name = url.rpartition("/")[2]
        async with AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{self.port}") as producer:
            headers = [("tick", str(tick_id).encode())]
            await producer.send_and_wait(name, b"\xff garbage", b"tick", partition=0, headers=headers)
            await producer.send_and_wait(name, b"garbage", partition=0)
            await producer.send_and_wait(name, b"garbage", b"tick", partition=0, headers=[("tick", None)])
            await producer.send_and_wait(name, None, b"status", partition=0)

    async def forget(self, url: str) -> None:
        """Delete the topic."""
        admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.port}")
        await admin.start()
        await admin.delete_topics([url.rpartition("/")[2]])
        await admin.close()


def jars() -> Path:
    """The folder with Kafka's jars, fetched the first time; skips the test where there can't be one."""
    if shutil.which("java") is None:
        pytest.skip("there is no Java to run Kafka: apt-get install default-jre-headless")
    if given := os.environ.get("KAFKA_JARS"):
        return Path(given)
    folder = (
        user_cache_path("btc-price-tracker-tests")
        / f"kafka-{uuid.uuid5(uuid.NAMESPACE_OID, POM.read_text())}"
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            if shutil.which("mvn") is None:
                pytest.skip("there is no Maven to fetch Kafka: apt-get install maven, or set KAFKA_JARS")
            fetch = [
                "mvn",
                "-q",
                "-B",
                "-f",
                str(POM),
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
            ]
            subprocess.run([*fetch, f"-DoutputDirectory={folder}.part"], check=True)
            Path(f"{folder}.part").rename(folder)
    return folder


@contextmanager
def running(*, with_password: bool = False) -> Iterator[KafkaServer]:
    """A server for as long as the block."""
    with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
        server = KafkaServer(Path(folder), with_password=with_password)
        try:
            server.start()
            yield server
        finally:
            server.stop()
