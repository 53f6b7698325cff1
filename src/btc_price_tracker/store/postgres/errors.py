"""Errors of PostgreSQL and of the connection to it as StoreError, with the remedy."""

import re

import asyncpg

from btc_price_tracker.errors import InvalidStoreUrl, StoreError

ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)

# Errors of one connection, which a new one may not have: it is lost, or its server is no longer the primary.
CONNECTION_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # where the server closes the connection during a query
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
)

_POOLER = (
    "a pooler in transaction mode lost a prepared statement; add ?statement_cache_size=0 to STORE_URL, or enable "
    "prepared statements in the pooler (PgBouncer since 1.21: max_prepared_statements)"
)

# By the beginning of the SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html); the first match counts.
_REMEDIES = {
    "26000": _POOLER,
    "42P05": _POOLER,
    "08P01": "the server or a pooler rejected an option of STORE_URL; remove the option named here",
    "25006": "the database is read-only; name the primary, or several hosts and target_session_attrs=primary",
    "28": "authentication failed; correct user and password in STORE_URL",
    "3D000": "the database doesn't exist; create it or correct STORE_URL",
    "42501": "permission denied; grant this user the right to create and use tables in its schema",
    "42P07": "tables of another program have the same names; name an empty database or schema in STORE_URL",
    "53100": "the disk of the server is full; free space, and it recovers on its own",
    "53300": "the server has too many connections; raise its max_connections or close others",
    "55P03": "a table is locked by another client; it is retried",
    "57014": "the server cancelled the query; check its load and its statement_timeout",
    "57P": "the server is starting or stopping; it is retried",
    "08": "the connection was lost; it is retried",
}


def store_error(error: Exception) -> StoreError:
    """The StoreError for an error of the driver; it names the remedy."""
    return StoreError(f"postgresql: {_remedy(error)} ({_text(error)})")


def invalid_url() -> InvalidStoreUrl:
    """The error for a malformed URL. The text of the driver is left out: it may contain a part of the password."""
    return InvalidStoreUrl(
        "STORE_URL can't be parsed; write postgresql://user:password@host:5432/database?sslmode=require, with special "
        "characters in user and password percent-encoded (p@ss is p%40ss), known options, and existing certificates"
    )


def _remedy(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no response in time; check the load of the server and the network"
    if isinstance(error, OSError):
        return "the server can't be reached; check host, port and TLS in STORE_URL, and that it is running"
    state = getattr(error, "sqlstate", None) or ""
    return next((text for start, text in _REMEDIES.items() if state.startswith(start)), "the database failed")


def _text(error: Exception) -> str:
    """The first line; the others are details and hints that may quote values of the query."""
    line = (str(error) or type(error).__name__).partition("\n")[0]
    return re.sub(r"\[Errno -?[0-9]+\] ", "", line)
