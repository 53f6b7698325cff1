"""When each stream has been open for long enough, so that clients spread over the instances again after a scale-up."""

import random

from btc_price_tracker.fanout.stream import Stream

JITTER = 0.1  # of the age, either way: streams that came together must not leave together


class Ages:
    """The open streams by the second in which they are due. Costs nothing while there is no maximum."""

    def __init__(self, maximum: float) -> None:
        """Streams are due after about `maximum` seconds; never with 0."""
        self._maximum = maximum
        self._due: dict[int, set[Stream]] = {}
        self._second: dict[Stream, int] = {}

    def add(self, stream: Stream, now: float) -> None:
        """Begin with a stream at the monotonic time `now`."""
        if self._maximum:
            second = int(now + self._maximum * random.uniform(1 - JITTER, 1 + JITTER)) + 1
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
        """The streams that are due at the monotonic time `now`; each is returned once."""
        taken: list[Stream] = []
        for second in [each for each in self._due if each <= now]:
            for stream in list(self._due[second]):
                taken.append(stream)
                self.discard(stream)
        return taken
