"""A server with the wire protocol of MongoDB, for the real driver. It is not mongod: see README.md."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from platformdirs import user_cache_path

HERE = Path(__file__).parent
REQUIREMENTS = HERE.parents[1] / "requirements" / "mongoeco.txt"
INSTALL = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
USER = "tracker"
PASSWORD = "hunter2 @:/?#% ä"  # what a URL must encode


class MongoServer:
    """The address of the server, and names of new databases."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._names = (f"prices{number}" for number in count(1))

    def url(self, database: str, password: str = PASSWORD, **options: str) -> str:
        query = urlencode({"authSource": "admin", "authMechanism": "SCRAM-SHA-256", **options})
        return f"mongodb://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}?{query}"

    def new_database(self) -> str:
        return next(self._names)


@contextmanager
def running() -> Iterator[MongoServer]:
    """Run a server for the duration of the block; skip the test where it can't run."""
    command: list[str | Path] = [environment(), HERE / "mongoeco_server.py", USER, PASSWORD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = process.stdout.readline()
        assert port, "mongoeco didn't start: see its output above"
        try:
            yield MongoServer(int(port))
        finally:
            process.stdin.close()


def environment() -> Path:
    """The Python of an environment with mongoeco, created once per version of its requirements."""
    version = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = user_cache_path("btc-price-tracker") / f"mongoeco-{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two concurrent runs, one creates it
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([newer_python(), "-m", "venv", folder], check=True)
            install(python)
            (folder / "complete").touch()
    return python


def newer_python() -> str:
    """A Python that supports mongoeco."""
    names = [sys.executable, *(f"python3.{minor}" for minor in range(13, 20))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    names += [str(path) for path in pyenv.glob("versions/3.*/bin/python3")]
    check = "import sys; sys.exit(sys.version_info < (3, 13))"
    for name in filter(None, map(shutil.which, names)):
        if not subprocess.run([name, "-c", check], capture_output=True, check=False).returncode:
            return name
    pytest.skip("mongoeco, which stands in for mongod, needs Python 3.13 or newer, and there is none")


def install(python: Path) -> None:
    try:
        subprocess.run([python, *INSTALL, "--requirement", REQUIREMENTS], check=True, timeout=100)
    except subprocess.SubprocessError as error:
        pytest.skip(f"mongoeco, which stands in for mongod, can't be installed: {error}")
