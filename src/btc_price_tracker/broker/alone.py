"""What an instance publishes to its own clients while the broker fails."""

from collections import deque
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from btc_price_tracker.price.model import Status, Update

ALONE = "The broker fails, so this instance polls the sources by itself. "


class Alone:
    """A term without a broker. Its prices are `degraded` at best, since other instances may publish others.

    They are kept, so that they can be published when the broker works again: what a client has had is then history.
    """

    number = 0

    def __init__(self, deliver: Callable[[Update], None], size: int) -> None:
        """Give each update to `deliver`; keep the last `size` ones that have a tick."""
        self._deliver = deliver
        self._published: deque[Update] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._published)

    async def publish(self, update: Update) -> None:
        """Give an update to the clients of this instance."""
        update = _marked(update)
        if update.tick is not None:
            self._published.append(update)
        self._deliver(update)

    def take(self) -> list[Update]:
        """Remove and return what has been published, oldest first."""
        taken = list(self._published)
        self._published.clear()
        return taken

    def put_back(self, updates: Iterable[Update]) -> None:
        """Keep the last ones of those taken after all."""
        self._published.extendleft(reversed(list(updates)))


def _marked(update: Update) -> Update:
    status = Status.DEGRADED if update.status is Status.OK else update.status
    tick = update.tick
    if tick is not None and tick.status is Status.OK:
        tick = replace(tick, status=status)
    return replace(update, status=status, reason=ALONE + update.reason, tick=tick)
