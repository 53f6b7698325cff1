"""What PostgreSQL or the way to it says went wrong, in words that name the remedy."""

import re

import asyncpg

from btc_price_tracker.errors import InvalidStoreUrl, StoreError

FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

# Faults of one connection, which another one needn't have: it is gone, or leads to what is no primary any more.
OF_THE_CONNECTION = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # where the server's farewell and a query cross
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
)

_POOLER = (
    "a pooler in between gives each transaction another server process; add ?statement_cache_size=0 to STORE_URL, or "
    "have it keep prepared statements (PgBouncer since 1.21: max_prepared_statements)"
)

# By how the SQLSTATE begins (postgresql.org/docs/current/errcodes-appendix.html); the first that fits counts.
_REMEDIES = {
    "26000": _POOLER,
    "42P05": _POOLER,
    "08P01": "the server, or a pooler before it, refuses STORE_URL; leave out the option that it names",
    "25006": "the database is read-only; name the primary, or several hosts and target_session_attrs=primary",
    "28": "it refuses the user or the password; correct STORE_URL",
    "3D000": "it has no such database; create it, or correct STORE_URL",
    "42501": "this user may not do that; grant it the right to create and use tables in its schema",
    "42P07": "another program's tables are in the way; name an empty database or schema",
    "53100": "its disk is full; make room, and it goes on by itself",
    "53300": "it has no connection to spare; raise its max_connections, or close others",
    "55P03": "another program keeps a table locked; it is tried again",
    "57014": "the query took too long; look at the server's load and its statement_timeout",
    "57P": "the server is starting or stopping; it is tried again",
    "08": "the connection broke; it is tried again",
}


def store_error(error: Exception) -> StoreError:
    """The same fault as a StoreError that names the remedy."""
    return StoreError(f"postgresql: {_remedy(error)} ({_words(error)})")


def unreadable_url() -> InvalidStoreUrl:
    """For a URL that can't be taken apart. The driver's own words might hold a part of the password."""
    return InvalidStoreUrl(
        "STORE_URL can't be read; it goes postgresql://user:password@host:5432/database?sslmode=require, "
        "with special characters in user and password percent-encoded (p@ss is p%40ss), known options, and "
        "certificates that are there"
    )


def _remedy(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time; look at the server's load and the network"
    if isinstance(error, OSError):
        return "it can't be reached; check host, port and TLS in STORE_URL, and that it runs"
    state = getattr(error, "sqlstate", None) or ""
    return next(
        (words for start, words in _REMEDIES.items() if state.startswith(start)), "the database failed"
    )


def _words(error: Exception) -> str:
    """The first line: more may follow, details and hints that quote what was sent."""
    line = (str(error) or type(error).__name__).partition("\n")[0]
    return re.sub(r"\[Errno -?[0-9]+\] ", "", line)
