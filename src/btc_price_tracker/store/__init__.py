"""Durable history: the Store protocol and the place where a URL becomes a store."""

import re
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import NamedTuple, Protocol

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.candles import Candle
from btc_price_tracker.price.model import Tick


class Span(NamedTuple):
    """What a store holds: the oldest and the newest id, 0 and 0 when empty, and how far it was dropped.

    `dropped` is the id up to which prices are gone: 0 until retention or capacity first removes a price, and
    never decreases. A store that was emptied still has it, so the next id must exceed both `last` and
    `dropped`. An old price appended anew is kept, below `dropped`: what lies there may be incomplete.
    """

    first: int
    last: int
    dropped: int


class Limits(NamedTuple):
    """How much a store may keep, as far as it is the store itself that sees to it."""

    capacity: int  # ticks, for stores in memory
    retention: int | None  # ms, None for ever: for databases that expire rows themselves, without prune()


class Store(Protocol):
    """Append-only history of ticks, keyed and ordered by id; old ones leave from the front only.

    All methods may raise StoreError, and do once the store is closed. One writer; any number of concurrent
    readers, which never block the writer. A failed append changed nothing and may be repeated.
    """

    async def append(self, ticks: list[Tick]) -> int:
        """Keep these ticks, durably and all or none; a tick whose id is already kept is left as it is.

        Ids may come in any order. Returns how many were new; where the store repeated the work by itself after a
        broken connection, those of the first attempt may be missing from that. Raises ValueError on an amount that is
        not exact to the cent.
        """

    async def span(self) -> Span:
        """What is held now."""

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
        """What roll_up() gives for candles of `seconds` that begin in [first, last] s, the oldest `limit` of them."""

    async def prune(self, before: int) -> int:
        """Drop ticks with id < before, in steps too small to keep a writer waiting; returns how many went."""

    async def describe(self) -> str:
        """What it is and how it is laid out, in a few words for an operator."""

    async def close(self) -> None:
        """Release everything. Idempotent."""


class Scheme(NamedTuple):
    """Where a kind of store lives, how its URL reads, and what it needs that a default install may lack."""

    module: str
    form: str
    needs: str
    rest: str = ".*"  # a pattern of what follows ://, as far as the store doesn't look at it itself
    remote: bool = False  # whether it may be out of reach for a while


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

_Opener = Callable[[str, Limits], Awaitable[Store]]


def scheme_of(url: str) -> Scheme:
    """The kind of store that `url` names. Raises StoreError where it names none."""
    name, separator, rest = url.partition("://")
    if not separator or name not in SCHEMES:
        raise StoreError(f"give one of {', '.join(scheme.form for scheme in SCHEMES.values())}")
    scheme = SCHEMES[name]
    if not re.fullmatch(scheme.rest, rest, re.DOTALL):
        raise StoreError(f"give {scheme.form}, with three slashes where there is a path")
    return scheme


async def open_store(url: str, *, capacity: int, retention: int | None = None) -> Store:
    """Open the store that `url` names; `capacity` and `retention` as in Limits.

    Raises InvalidStoreUrl where it can't be read, and StoreError where it names none, something it needs isn't
    installed, or the store can't be opened.
    """
    return await _opener(scheme_of(url))(url, Limits(capacity, retention))


def _opener(scheme: Scheme) -> _Opener:
    """The implementation, imported only now: nobody pays for a database they don't use."""
    try:
        opener: _Opener = import_module(f"{__name__}.{scheme.module}").open_url
    except ImportError as error:
        raise StoreError(f"{scheme.form} needs {scheme.needs} ({error})") from error
    return opener
