"""Durable history: the Store protocol, and opening the store that a URL names."""

import re
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import NamedTuple, Protocol

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick

OPERATION_TIMEOUT = 5.0  # seconds
PRUNE_BATCH = 500  # ticks: a few milliseconds of work


class Span(NamedTuple):
    """The oldest and the newest id in a store, 0 and 0 when empty, and how far it was pruned.

    `dropped` is the highest id that was removed: 0 until retention or capacity first removes a price, and never
    decreasing. It survives the removal of the last tick, so the next id must exceed both `last` and `dropped`.
    An old price that is appended again is stored, below `dropped`: the range up to there may be incomplete.
    """

    first: int
    last: int
    dropped: int


class StoreOptions(NamedTuple):
    """Limits of a store; each kind of store applies those that concern it.

    `capacity` is the maximum number of ticks of a store in memory. `retention`, in ms, None for ever, is for
    databases that expire rows on their own, without prune(). `operation_timeout`, in seconds, bounds connecting to a
    database, one operation there, and the wait for a lock on its file. `prune_batch` is the maximum number of ticks
    that one transaction or command of prune() deletes, and so what an append may have to wait for.
    """

    capacity: int
    retention: int | None = None
    operation_timeout: float = OPERATION_TIMEOUT
    prune_batch: int = PRUNE_BATCH


class Store(Protocol):
    """Append-only history of ticks, ordered by id, from which only the oldest are removed.

    Every method may raise StoreError, and raises StoreClosed after close(). There is one writer and any number of
    concurrent readers, which never block the writer. A failed append changes nothing and may be repeated.
    """

    async def append(self, ticks: list[Tick]) -> int:
        """Store ticks durably, all or none, in any order of their ids; ids that are already stored are left unchanged.

        Returns the number of new ticks. Where the store retried internally after a lost connection, those of the
        first attempt may not be counted. Raises ValueError on an amount that is not exact to the cent.
        """

    async def span(self) -> Span:
        """The range of ids that is stored now."""

    async def get(self, tick_id: int) -> Tick | None:
        """The tick with this id and its quotes, or None."""

    async def newest(self, limit: int) -> list[Tick]:
        """The last `limit` ticks, oldest first, without their quotes."""

    async def page(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The oldest `limit` ticks with after < id (≤ until), oldest first, without their quotes."""

    async def page_with_quotes(self, after: int, until: int | None, limit: int) -> list[Tick]:
        """The same as `page` with the quotes of each tick, in one read: for an export."""

    async def ids(self, after: int, until: int | None, skip: int, limit: int) -> list[int]:
        """Ids with after < id (≤ until), oldest first: at most `limit`, after skipping `skip`.

        Much cheaper than reading the ticks.
        """

    async def candles(self, seconds: int, first: int, last: int, limit: int) -> list[Candle]:
        """The oldest `limit` candles of `seconds` that begin in [first, last] s, equal to those of roll_up()."""

    async def prune(self, before: int) -> int:
        """Delete ticks with id < before, in small batches so that appends don't wait long; returns their number."""

    async def describe(self) -> str:
        """A short description of the store and its layout, for operators."""

    async def close(self) -> None:
        """Release all resources. Idempotent."""


class Scheme(NamedTuple):
    """A kind of store: the module that implements it, the form of its URL, and what must be installed for it."""

    module: str
    form: str
    requires: str
    rest: str = ".*"  # pattern of what follows ://, as far as the store doesn't validate it itself
    remote: bool = False  # whether it may be unreachable at times


_POSTGRES = ".venv/bin/pip install -e '.[postgres]'"
_MONGODB = ".venv/bin/pip install -e '.[mongodb]'"

SCHEMES = {
    "memory": Scheme("snapshot", "memory:// or memory:///path", "nothing else", "(/.+)?"),
    "sqlite": Scheme("sqlite", "sqlite:///path", "a Python that was built with sqlite3", "/.+"),
    "postgresql": Scheme("postgres", "postgresql://host/database", _POSTGRES, remote=True),
    "postgres": Scheme("postgres", "postgres://host/database", _POSTGRES, remote=True),
    "mongodb": Scheme("mongodb", "mongodb://host/database", _MONGODB, remote=True),
    "mongodb+srv": Scheme("mongodb", "mongodb+srv://host/database", _MONGODB, remote=True),
}

_Opener = Callable[[str, StoreOptions], Awaitable[Store]]


def scheme_of(url: str) -> Scheme:
    """The kind of store that a URL names. Raises StoreError where it names none."""
    name, separator, rest = url.partition("://")
    if not separator or name not in SCHEMES:
        raise StoreError(f"give one of {', '.join(scheme.form for scheme in SCHEMES.values())}")
    scheme = SCHEMES[name]
    if not re.fullmatch(scheme.rest, rest, re.DOTALL):
        raise StoreError(f"give {scheme.form}, with three slashes where there is a path")
    return scheme


async def open_store(
    url: str,
    *,
    capacity: int,
    retention: int | None = None,
    operation_timeout: float = OPERATION_TIMEOUT,
    prune_batch: int = PRUNE_BATCH,
) -> Store:
    """Open the store that a URL names; the options are those of StoreOptions.

    Raises InvalidStoreUrl where the URL is malformed, and StoreError where its scheme is unknown, a required package
    isn't installed, or the store can't be opened.
    """
    options = StoreOptions(capacity, retention, operation_timeout, prune_batch)
    return await _opener(scheme_of(url))(url, options)


def _opener(scheme: Scheme) -> _Opener:
    """The `open_url` of the implementation, imported here so that drivers of other databases aren't needed."""
    try:
        opener: _Opener = import_module(f"{__name__}.{scheme.module}").open_url
    except ImportError as error:
        raise StoreError(f"{scheme.form} requires {scheme.requires} ({error})") from error
    return opener
