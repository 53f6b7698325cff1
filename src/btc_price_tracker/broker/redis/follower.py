"""Reading updates from Redis: one blocked XREAD over the ticks, the updates without one, and the probes."""

from collections.abc import AsyncGenerator
from typing import Any, NamedTuple, TypeAlias

from btc_price_tracker.broker.codec import Inbox
from btc_price_tracker.broker.probes import Probes
from btc_price_tracker.broker.redis.errors import attempt
from btc_price_tracker.broker.redis.keys import Keys
from btc_price_tracker.price.model import Update

PAGE = 200  # entries of a stream in one reply

Client: TypeAlias = Any  # redis.asyncio.Redis: its types leave open whether replies are text
Position: TypeAlias = tuple[int, int]  # an entry's id


class Entry(NamedTuple):
    """An entry of a stream; entries of both streams sort into the order of publication."""

    position: Position
    is_tick: bool
    fields: dict[bytes, bytes]


class Follower:
    """Where one reader is in each of the streams."""

    def __init__(self, client: Client, keys: Keys, silence: float, probes: Probes) -> None:
        """`client` has a connection of its own, which is given up after `silence` seconds without a reply."""
        self._client = client
        self._silence = silence
        self._keys = keys
        self._block = max(round(silence * 1000 / 3), 1)  # ms: Redis gives a sign of life that often
        self._probes = probes
        self._inbox = Inbox()

    async def updates(self, after: int) -> AsyncGenerator[Update, None]:
        """See Broker.follow."""
        keys = self._keys
        async with attempt(self._silence):
            read = {keys.ticks: (after, 0), keys.statuses: await self._first_status(), keys.probes: (0, 0)}
        while True:
            async with attempt(self._silence):
                reply = await self._client.xread(
                    {key: _text(position) for key, position in read.items()}, PAGE, self._block
                )
            for entry in self._take(dict(reply), read):
                update = self._update(entry)
                if update is not None:
                    yield update

    async def _first_status(self) -> Position:
        """The position before the newest update without a tick if no tick has followed it, else that one's."""
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.xrevrange(self._keys.ticks, count=1)
            pipeline.xrevrange(self._keys.statuses, count=1)
            ticks, statuses = await pipeline.execute()
        if not statuses:
            return 0, 0
        newest = _position(statuses[0][0])
        is_current = not ticks or _position(ticks[0][0]) < newest
        return (newest[0], newest[1] - 1) if is_current and newest[1] > 0 else newest

    def _take(self, reply: dict[bytes, Any], read: dict[str, Position]) -> list[Entry]:
        """What a reply brings, in order, noted as read."""
        keys = self._keys
        for key, fields in reply.get(keys.probes.encode(), ()):
            read[keys.probes] = _position(key)
            self._probes.received(fields.get(b"probe", b"").decode(errors="replace"))
        ticks = [Entry(_position(key), True, fields) for key, fields in reply.get(keys.ticks.encode(), ())]
        statuses = [
            Entry(_position(key), False, fields) for key, fields in reply.get(keys.statuses.encode(), ())
        ]
        if len(ticks) == PAGE:  # more ticks follow: what was published after those has to wait
            statuses = [status for status in statuses if status.position < ticks[-1].position]
        for key, entries in ((keys.ticks, ticks), (keys.statuses, statuses)):
            if entries:
                read[key] = entries[-1].position
        return sorted(ticks + statuses, key=lambda entry: entry.position)

    def _update(self, entry: Entry) -> Update | None:
        tick_id = entry.position[0] if entry.is_tick else None
        return self._inbox.read(entry.fields.get(b"update"), _text(entry.position), tick_id)


def _position(key: bytes) -> Position:
    milliseconds, _, number = key.decode().partition("-")
    return int(milliseconds), int(number)


def _text(position: Position) -> str:
    return f"{position[0]}-{position[1]}"
