"""The schema of the file: its owner, its version, and the migrations between versions."""

import sqlite3
from pathlib import Path

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Status
from btc_price_tracker.store.sqlite.transaction import transaction

APPLICATION_ID = 0x42544350  # "BTCP", marks the file as ours

# A status is stored as its index in this list. Append only.
STATUSES = (Status.OK, Status.DEGRADED, Status.SINGLE_SOURCE, Status.STALE)

# Part of version 2: never change it. 900000 ms are a quarter-hour; status 3 is stale, part of no candle.
SUM_UP = """
    INSERT INTO quarter_hours (start, first, last, open, high, low, close, count)
    SELECT start, first, last, opening.price, high, low, closing.price, count
    FROM (
        SELECT id / 900000 * 900000 AS start, min(id) AS first, max(id) AS last,
            max(price) AS high, min(price) AS low, count(*) AS count
        FROM ticks WHERE status <> 3 AND {where} GROUP BY start
    )
    JOIN ticks AS opening ON opening.id = first
    JOIN ticks AS closing ON closing.id = last"""

# Version n of the schema is the result of the first n of these. Append only.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE methods (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        # Amounts in cents, age in seconds, method by its id: less than 40 bytes per row.
        """CREATE TABLE ticks (id INTEGER PRIMARY KEY, price INTEGER NOT NULL, status INTEGER NOT NULL,
           sources INTEGER NOT NULL, spread INTEGER NOT NULL, age INTEGER NOT NULL,
           method INTEGER NOT NULL REFERENCES methods (id))""",
        # In a separate table, so that reading a year of prices doesn't read a year of quotes.
        "CREATE TABLE quotes (id INTEGER PRIMARY KEY REFERENCES ticks (id), body BLOB NOT NULL)",
        "CREATE TABLE retention (dropped INTEGER NOT NULL)",
        "INSERT INTO retention VALUES (0)",
    ),
    (
        # Sums of the ticks of a quarter-hour, for candles; see store/rollup.py.
        """CREATE TABLE quarter_hours (start INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL,
           open INTEGER NOT NULL, high INTEGER NOT NULL, low INTEGER NOT NULL, close INTEGER NOT NULL,
           count INTEGER NOT NULL)""",
        SUM_UP.format(where="true"),
    ),
    (
        # NULL in older rows, of which only the age in seconds is known.
        "ALTER TABLE ticks ADD COLUMN quote_age INTEGER",
        "ALTER TABLE ticks ADD COLUMN recorded INTEGER",
    ),
)


def refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreError unless the file is empty, or ours and of a known version."""
    owner = pragma(connection, "application_id")
    version = pragma(connection, "user_version")
    (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if owner != APPLICATION_ID and (owner or version or objects):
        raise StoreError(f"{path} is the database of another program; name another file in STORE_URL")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} was written by a newer version (schema {version}, this version supports {len(MIGRATIONS)}); "
            "install that version, or name another file in STORE_URL"
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate the file to the newest schema, in one transaction."""
    version = pragma(connection, "user_version")
    if version == len(MIGRATIONS):
        return
    with transaction(connection):
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def pragma(connection: sqlite3.Connection, name: str) -> int:
    """The value of a numeric pragma."""
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
