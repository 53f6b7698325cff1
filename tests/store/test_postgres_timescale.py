"""What we ask of TimescaleDB. An extension of its name that notes the calls stands in for it: not the real one."""

import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest

from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store import Span, open_store
from btc_price_tracker.store.postgres.window import WINDOW
from databases.postgres import PostgresServer

SCRIPT = """
CREATE TABLE calls (call text);

CREATE FUNCTION create_hypertable(relation regclass, time_column_name name, chunk_time_interval bigint)
RETURNS void LANGUAGE sql AS
$$ INSERT INTO calls VALUES (format('create_hypertable %s %s %s', relation, time_column_name, chunk_time_interval)) $$;

CREATE FUNCTION drop_chunks(relation regclass, older_than bigint) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO calls VALUES (format('drop_chunks %s %s', relation, older_than));
    EXECUTE format('DELETE FROM %s WHERE id < %s', relation, older_than);
END $$;
"""


@pytest.fixture
def extensions() -> Iterator[Path]:
    """A folder with the extension, which the server may look into."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        inner = path / "extension"
        inner.mkdir()
        (inner / "timescaledb.control").write_text("default_version = '1'\nrelocatable = true\n")
        (inner / "timescaledb--1.sql").write_text(SCRIPT)
        yield path


async def test_where_the_database_has_timescaledb_the_table_is_a_hypertable(
    postgres_server: PostgresServer, extensions: Path
) -> None:
    def tick(tick_id: int) -> Tick:
        return Tick(tick_id, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1")

    url = postgres_server.url(await postgres_server.new_database())
    client = await asyncpg.connect(url)
    await client.execute(f"SET extension_control_path = '$system:{extensions}'")
    await client.execute("CREATE EXTENSION timescaledb")
    store = await open_store(url, capacity=1)
    await store.append([tick(1), tick(WINDOW + 1), tick(2 * WINDOW + 1), tick(2 * WINDOW + 2)])
    assert await store.prune(2 * WINDOW + 2) == 3
    assert await store.span() == Span(2 * WINDOW + 2, 2 * WINDOW + 2, 2 * WINDOW + 1)
    assert [call for (call,) in await client.fetch("SELECT call FROM calls")] == [
        f"create_hypertable ticks id {WINDOW}",
        f"drop_chunks ticks {WINDOW}",
        f"drop_chunks ticks {2 * WINDOW}",
    ]
    assert await client.fetchval("SELECT count(*) FROM pg_inherits WHERE inhparent = 'ticks'::regclass") == 0
    await store.close()
    await client.close()
