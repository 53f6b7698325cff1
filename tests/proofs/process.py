"""Servers in processes of their own: the tests' own, which publishes on command, and the product's commands."""

import asyncio
import contextlib
import os
import resource
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from command import UNLIMITED
from ports import free_port

SERVICE = Path(__file__).with_name("service.py")
TESTS = SERVICE.parents[1]
PATIENCE = 150  # seconds a process has to start or to answer on a busy machine


@dataclass(frozen=True, slots=True)
class Service:
    """`service.py`, running."""

    process: Process
    port: int

    async def ask(self, *words: object) -> Any:
        """Give a command and wait for what comes of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        async with asyncio.timeout(PATIENCE):
            return msgspec.json.decode(await self.process.stdout.readline())

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def service(files: int = 0, **options: Any) -> AsyncIterator[Service]:
    """Run `service.py`, with at most so many open files if that is not 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SERVICE),
        msgspec.json.encode(options).decode(),
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        stdin=PIPE,
        stdout=PIPE,
        limit=2**24,
        preexec_fn=partial(_limit_files, files) if files else None,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await process.stdout.readline()
        assert line, "the server has ended"
        yield Service(process, int(line))
    finally:
        await _end(process)


@asynccontextmanager
async def command(*words: str, under: str = "", **environment: str) -> AsyncIterator[tuple[Process, int]]:
    """Run a command of `btc-price-tracker` on PORT or a free port, and yield once that is ready.

    `under` is a command before it.
    """
    port = int(environment.get("PORT", free_port()))
    process = await asyncio.create_subprocess_exec(
        *filter(None, [under]),
        *(sys.executable, "-m", "btc_price_tracker", *words, "--port", str(port)),
        env={**os.environ, **UNLIMITED, "LOG_LEVEL": "error", **environment},
    )
    try:
        await _until_ready(process, port)
        yield process, port
    finally:
        await _end(process)


async def _until_ready(process: Process, port: int) -> None:
    async with httpx2.AsyncClient(trust_env=False, verify=False) as client, asyncio.timeout(PATIENCE):
        while True:
            assert process.returncode is None, "the server has ended"
            with contextlib.suppress(httpx2.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                    return
            await asyncio.sleep(0.05)


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await process.wait()


def _limit_files(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
