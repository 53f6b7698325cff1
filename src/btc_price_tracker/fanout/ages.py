"""When each stream has been open for long enough, so that clients spread over the instances again after a scale-up."""

import random

from btc_price_tracker.fanout.stream import Stream

JITTER = 0.15  # of the age, either way: streams that came together must not leave together


class Ages:
    """The open streams by the second in which they are due. Costs nothing while there is no maximum."""

    def __init__(self, maximum: float, now: float) -> None:
        """Streams are due after about `maximum` seconds, never with 0; `now` is monotonic, here and below."""
        self._maximum = maximum
        self._taken = int(now)  # every second until this one
        self._due: dict[int, set[Stream]] = {}
        self._second: dict[Stream, int] = {}

    def add(self, stream: Stream, now: float) -> None:
        """Begin with a stream."""
        if self._maximum:
            factor = random.uniform(1 - JITTER, 1 + JITTER)  # nosec B311
            self._set(stream, now + self._maximum * factor)

    def postpone(self, stream: Stream, now: float) -> None:
        """Let a stream that was taken be due again in the next second."""
        self._set(stream, now)

    def _set(self, stream: Stream, due: float) -> None:
        second = int(due) + 1
        self._second[stream] = second
        self._due.setdefault(second, set()).add(stream)

    def discard(self, stream: Stream) -> None:
        """Forget a stream, if it is there."""
        second = self._second.pop(stream, None)
        if second is not None:
            streams = self._due[second]
            streams.discard(stream)
            if not streams:
                del self._due[second]

    def take_due(self, now: float) -> list[Stream]:
        """The streams that are due; each is returned once. Looks only at the seconds since the last call."""
        taken: list[Stream] = []
        for second in range(self._taken + 1, int(now) + 1):
            taken.extend(self._due.pop(second, ()))
        for stream in taken:
            del self._second[stream]
        self._taken = int(now)
        return taken
