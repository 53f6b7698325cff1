"""The backups of docs/how-to/restore.md, made while the store is in use, hold every price when they are restored."""

import sqlite3
import subprocess
from pathlib import Path

from btc_price_tracker.store import open_store
from command import run
from databases.postgres import PostgresServer
from live import a_tick

PAGE = (Path(__file__).parents[2] / "docs/how-to/restore.md").read_text()
IDS = [1764000000000 + number for number in range(100)]


def output(command: list[str], given: bytes = b"") -> bytes:
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def exported(url: str) -> list[str]:
    result = run("export", STORE_URL=url)
    assert result.returncode == 0, result.stderr
    return [line.partition(",")[0] for line in result.stdout.splitlines()[1:]]


async def test_a_copy_of_a_sqlite_store_in_use_is_complete(tmp_path: Path) -> None:
    assert "VACUUM INTO" in PAGE
    store = await open_store(f"sqlite:///{tmp_path}/prices.db", capacity=1000)
    try:
        await store.append([a_tick(each) for each in IDS])
        with sqlite3.connect(tmp_path / "prices.db") as connection:
            connection.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),))
        connection.close()
        await store.append([a_tick(IDS[-1] + 1)])
    finally:
        await store.close()
    assert exported(f"sqlite:///{tmp_path}/copy.db") == [str(each) for each in IDS]


async def test_a_dump_of_a_postgresql_store_in_use_is_complete(postgres_server: PostgresServer) -> None:
    assert "pg_dump --format=custom" in PAGE
    assert "pg_restore --no-owner --exit-on-error" in PAGE
    name, copy = await postgres_server.new_database(), await postgres_server.new_database()
    store = await open_store(postgres_server.url(name), capacity=1000)
    try:
        await store.append([a_tick(each) for each in IDS])
        dump = ["--format=custom", f"--dbname={postgres_server.url(name)}"]
        dumped = output([*postgres_server.program("pg_dump"), *dump])
        await store.append([a_tick(IDS[-1] + 1)])
    finally:
        await store.close()
    restore = ["--no-owner", "--exit-on-error", f"--dbname={postgres_server.url(copy)}"]
    command = [*postgres_server.program("pg_restore"), *restore]
    output(command, dumped)
    url = postgres_server.url(copy)
    assert exported(url) == [str(each) for each in IDS]
    store = await open_store(url, capacity=1000)
    try:
        assert await store.append([a_tick(IDS[-1] + 2)]) == 1  # it goes on
    finally:
        await store.close()
