"""A PgBouncer in transaction mode in front of the PostgreSQL of the tests, if it is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from databases.postgres import PASSWORD, USER, PostgresServer, as_nobody
from ports import free_port


class PgBouncer:
    """The address of the pooler; every client is accepted as the user of the database."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, database: str, options: str = "") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}{options}"


@contextmanager
def running(server: PostgresServer, servers: int) -> Iterator[PgBouncer]:
    """Run PgBouncer with this many connections to a server; skip the test if it isn't installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer isn't installed: apt-get install pgbouncer")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        folder = Path(name)
        password = PASSWORD.replace("'", "''")
        (folder / "users").write_text(f'"{USER}" "{PASSWORD}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user={USER} password='{password}'\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = any\nauth_file = {folder}/users\n"
            f"pool_mode = transaction\ndefault_pool_size = {servers}\n"
        )
        if os.geteuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, "nobody", "nogroup")
        command = [*as_nobody(), program, str(folder / "pgbouncer.ini")]
        with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd="/", stderr=log) as process:
            try:
                wait(port, process)
                yield PgBouncer(port)
            finally:
                process.terminate()


def wait(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until it accepts connections; the time limit of the test bounds the wait."""
    while True:
        assert process.poll() is None, "pgbouncer has ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
