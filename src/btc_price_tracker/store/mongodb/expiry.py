"""Ticks that the database drops by itself, by a TTL index on the date of publication.

It is a safety net for when no instance runs: prune() comes first, and knows exactly what it dropped. So an index that
isn't ours is no reason to keep no prices: it is never touched, and the log says what that means. Several instances may
start at once, and with different settings: the last one counts.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

import structlog
from pymongo.errors import OperationFailure

from btc_price_tracker.store.mongodb.ticks import Collection

Indexes: TypeAlias = Mapping[str, Mapping[str, Any]]

_FIELD = "at"
_NAME = "at_1"  # as the driver calls an index on it
_OPTIONS = {"v", "key", "ns", "expireAfterSeconds"}  # of an index that we made

# mongodb.com/docs/manual/reference/error-codes
_NO_SUCH_INDEX = 27
_CONFLICTS = 85, 86  # IndexOptionsConflict, IndexKeySpecsConflict

log = structlog.get_logger(__name__)


class Expiry:
    """The index of one collection."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def works(self) -> bool:
        """Whether the database drops ticks by itself, by our index or another one."""
        return any(_expires(index) for index in (await self._indexes()).values())

    async def set(self, seconds: int | None) -> None:
        """Have the database drop ticks of this age, None for never; an index of ours is changed in place."""
        indexes = await self._indexes()
        obstacles = [name for name, index in indexes.items() if _is_in_the_way(name, index)]
        if _is_ours(indexes):
            await self._adjust(indexes[_NAME]["expireAfterSeconds"], seconds)
        elif obstacles:
            _warn(obstacles, indexes, seconds)
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
            await self._change(seconds)  # another instance was quicker

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
            if error.code != _NO_SUCH_INDEX:  # another instance was quicker
                raise


def _warn(obstacles: list[str], indexes: Indexes, seconds: int | None) -> None:
    """Say what an index that isn't ours means, where it means something."""
    expiring = [name for name in obstacles if _expires(indexes[name])]
    if seconds is not None:
        log.warning(
            "MongoDB drops no old prices by itself: an index that isn't ours is in the way; drop it",
            index=obstacles[0],
        )
    elif expiring:
        log.warning(
            "MongoDB drops old prices though RETENTION is 0: an index that isn't ours does; drop it",
            index=expiring[0],
        )


def _is_ours(indexes: Indexes) -> bool:
    index = indexes.get(_NAME, {})
    return _expires(index) and {name for name, option in index.items() if option} <= _OPTIONS


def _expires(index: Mapping[str, Any]) -> bool:
    return _is_on_field(index) and "expireAfterSeconds" in index


def _is_in_the_way(name: str, index: Mapping[str, Any]) -> bool:
    """There can't be ours beside one of its name, or one on the same field."""
    return name == _NAME or _is_on_field(index)


def _is_on_field(index: Mapping[str, Any]) -> bool:
    return [tuple(part) for part in index.get("key", ())] == [(_FIELD, 1)]
