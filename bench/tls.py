"""What HTTPS in process costs beside HTTP: `.venv/bin/python bench/tls.py [STREAMS]`, 2,000 by default."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from machine import raise_file_limit
from measures import Crowd, FanOut, crowd, fan_out
from subjects import Subject, ours, running_exchange
from table import section

ROUNDS = 3
SECONDS = 6.0  # of each fan-out


def encrypted(subject: Subject, folder: Path) -> Subject:
    """The same server with a certificate of its own making."""
    certificate, key = str(folder / "tls.crt"), str(folder / "tls.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return replace(subject, env={**subject.env, "TLS_CERT": certificate, "TLS_KEY": key}, tls=True)


def row(name: str, crowds: Sequence[Crowd], fans: Sequence[FanOut]) -> list[str]:
    return [
        name,
        f"{median(each.connect for each in crowds):.0f}",
        f"{median(each.kib for each in crowds):.2f}",
        f"{median(each.microseconds for each in fans):.1f}",
        "yes" if all(each.complete for each in fans) else "no",
    ]


async def bench(streams: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_exchange() as exchange:
            plain = ours(exchange)
            subjects = {"HTTP": plain, "HTTPS": encrypted(plain, Path(folder))}
            crowds: dict[str, list[Crowd]] = {name: [] for name in subjects}
            fans: dict[str, list[FanOut]] = {name: [] for name in subjects}
            for _ in range(ROUNDS):
                for name, subject in subjects.items():
                    crowds[name].append(await crowd(subject, streams))
                    fans[name].append(await fan_out(subject, streams, SECONDS))
    section(
        f"{streams} streams: medians of {ROUNDS} alternating rounds",
        ["", "µs CPU per connect", "KiB per stream", "µs CPU per event", "every price to all"],
        [row(name, crowds[name], fans[name]) for name in subjects],
    )


if __name__ == "__main__":
    raise_file_limit()
    asyncio.run(bench(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
