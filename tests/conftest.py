"""Database servers, one of each a session, started only if a test asks for one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import wraps
from inspect import iscoroutinefunction
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from databases import mongo, postgres
from databases.mongo import MongoServer
from databases.postgres import PostgresServer

LONG = ("proofs", "contracts", "simulation", "browser")  # folders, the longest first

MARGIN = 20.0  # seconds

# How long an example takes says how busy the machine is.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files, so that no worker is left with one, but not at once: they wait most of their time."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    long = [path for folder in LONG for path in files if path.parent.name == folder]
    short = [path for path in files if path.parent.name not in LONG]
    order = [path for pair in zip_longest(long, short) for path in pair if path]
    items[:] = [item for path in order for item in files[path]]
    for item in items:
        if isinstance(item, pytest.Function) and iscoroutinefunction(item.obj):
            item.obj = _bounded(item.obj, _seconds(item) - MARGIN)


def _seconds(item: pytest.Item) -> float:
    """After how long pytest-timeout ends the process."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getini("timeout"))


def _bounded(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    """Let a test that hangs fail where it hangs, before its process is ended."""

    @wraps(test)
    async def bounded(*arguments: object, **fixtures: object) -> None:
        async with asyncio.timeout(seconds):
            await test(*arguments, **fixtures)

    return bounded


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[MongoServer]:
    with mongo.running() as server:
        yield server


@pytest.fixture
def new_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Awaitable[str]]:
    """The URL of an empty store of a kind."""

    async def url(kind: str) -> str:
        if kind == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            return await server.new_schema()
        if kind == "mongodb":
            stand_in: MongoServer = request.getfixturevalue("mongo_server")
            return stand_in.url(stand_in.new_database())
        return {
            "memory": "memory://",
            "snapshot": f"memory://{tmp_path}/prices.snapshot",
            "sqlite": f"sqlite:///{tmp_path}/prices.db",
        }[kind]

    return url
