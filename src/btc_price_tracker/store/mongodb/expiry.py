"""Expiry of old ticks by the database itself, with a TTL index on the date of publication.

It is a safety net for when no instance is running: prune() acts earlier and records exactly what it deleted. So an
index of another program doesn't stop the service: it is never changed, and its effect is logged. Several instances may
start at once with different settings: the last one counts.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import structlog
from pymongo.errors import OperationFailure

from btc_price_tracker.store.mongodb.ticks import Collection

Indexes: TypeAlias = Mapping[str, Mapping[str, Any]]

_FIELD = "at"
_NAME = "at_1"  # the driver's default name of an index on the field
_OPTIONS = {"v", "key", "ns", "expireAfterSeconds"}  # of an index that we created

# mongodb.com/docs/manual/reference/error-codes
_NO_SUCH_INDEX = 27
_CONFLICTS = 85, 86  # IndexOptionsConflict, IndexKeySpecsConflict

log = structlog.get_logger(__name__)


class Expiry:
    """The TTL index of a collection."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def is_active(self) -> bool:
        """Whether the database expires ticks, by our index or another one."""
        return any(_expires(index) for index in (await self._indexes()).values())

    async def set(self, seconds: int | None) -> None:
        """Expire ticks at this age, None for never; an index of ours is changed in place."""
        indexes = await self._indexes()
        conflicting = [name for name, index in indexes.items() if _is_conflicting(name, index)]
        if _is_ours(indexes):
            await self._adjust(indexes[_NAME]["expireAfterSeconds"], seconds)
        elif conflicting:
            _warn(conflicting, indexes, seconds)
        elif seconds is not None:
            await self._create(seconds)

    async def _indexes(self) -> Indexes:
        return await self._collection.index_information()

    async def _create(self, seconds: int) -> None:
        try:
            await self._collection.create_index(_FIELD, name=_NAME, expireAfterSeconds=seconds)
        except OperationFailure as error:
            if error.code not in _CONFLICTS or not _is_ours(await self._indexes()):
                raise
            await self._change(seconds)  # another instance created it meanwhile

    async def _adjust(self, current: int, seconds: int | None) -> None:
        if seconds is None:
            await self._drop()
        elif seconds != current:
            await self._change(seconds)

    async def _change(self, seconds: int) -> None:
        change = {"name": _NAME, "expireAfterSeconds": seconds}
        await self._collection.database.command("collMod", self._collection.name, index=change)

    async def _drop(self) -> None:
        try:
            await self._collection.drop_index(_NAME)
        except OperationFailure as error:
            if error.code != _NO_SUCH_INDEX:  # another instance dropped it meanwhile
                raise


def _warn(conflicting: list[str], indexes: Indexes, seconds: int | None) -> None:
    """Log the effect of indexes that aren't ours, if they have one."""
    expiring = [name for name in conflicting if _expires(indexes[name])]
    if seconds is not None:
        log.warning("TTL index not created", index=conflicting[0], reason="another index conflicts; drop it")
    elif expiring:
        log.warning("foreign TTL index found", index=expiring[0], reason="it expires prices; drop it")


def _is_ours(indexes: Indexes) -> bool:
    index = indexes.get(_NAME, {})
    return _expires(index) and {name for name, option in index.items() if option} <= _OPTIONS


def _expires(index: Mapping[str, Any]) -> bool:
    return _is_on_field(index) and "expireAfterSeconds" in index


def _is_conflicting(name: str, index: Mapping[str, Any]) -> bool:
    """Whether MongoDB allows no index of ours beside this one: it has the same name or is on the same field."""
    return name == _NAME or _is_on_field(index)


def _is_on_field(index: Mapping[str, Any]) -> bool:
    return [tuple(part) for part in index.get("key", ())] == [(_FIELD, 1)]
