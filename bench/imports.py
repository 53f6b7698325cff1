"""How fast `btc-price-tracker import` fills a database."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from machine import SERVER_CPU
from subjects import HERE, program


class Import(NamedTuple):
    """What the command took."""

    seconds: float
    cpu: float  # seconds of its own, without those of a database server


def imported(path: Path, url: str) -> Import:
    """Run the command on one CPU."""
    command = [*program(), "import", str(path), "--store-url", url, "--retention", "0"]
    begun, before = time.monotonic(), _cpu_of_children()
    on_one_cpu = partial(os.sched_setaffinity, 0, {SERVER_CPU})
    subprocess.run(command, check=True, capture_output=True, preexec_fn=on_one_cpu)
    return Import(time.monotonic() - begun, _cpu_of_children() - before)


@contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of a server as careful as in production, unlike that of the tests; None where there is none."""
    sys.path.append(str(HERE.parent / "tests"))
    try:
        from databases.postgres import USER, running  # noqa: PLC0415 - may not be installed
    except ImportError as error:
        print(f"PostgreSQL is left out: {error}")
        yield None
        return
    with running() as server:
        server.stop()
        server.start(fsync="on")
        yield server.url(USER)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
