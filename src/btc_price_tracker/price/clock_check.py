"""Check our wall clock against the clocks of the sources.

A price is dated by the wall clock, and retention counts by those dates: one that is a year ahead for five seconds would
make all of history too old. So nothing is dated by a clock that most sources contradict, and retention goes by a time
that they have confirmed.
"""

from collections.abc import Iterable, Sequence
from statistics import median_low

from btc_price_tracker.clock import Clock
from btc_price_tracker.price.model import Answer
from btc_price_tracker.price.parameters import CLOCK_AHEAD

ALONE = 3_600_000  # ms
_UNITS = (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1000))


class ClockCheck:
    """Remembers the last time that the sources confirmed, and carries it on by the monotonic clock."""

    def __init__(self, clock: Clock, *, recorded: bool = False) -> None:
        """With `recorded`, the sources are played back on this machine: they go by its clock and confirm nothing."""
        self._clock = clock
        self.recorded = recorded
        self._confirmed: tuple[int, float] | None = (
            None  # wall time in ms and monotonic time in s, of one moment
        )

    def review(self, answers: Sequence[Answer]) -> str | None:
        """The reason for distrusting the wall clock; None where most sources that show a clock agree with it.

        Where no source shows one, ours is neither contradicted nor confirmed.
        """
        now = self._clock.now()
        offsets = list(_offsets(answers, now))
        if (offset := _contradiction(offsets)) is not None:
            return _wrong_clock(offset)
        if offsets and not self.recorded:
            self._confirmed = now, self._clock.monotonic()
        return None

    def time(self) -> int | None:
        """Ms since the epoch as confirmed by the sources; None before they have."""
        if self._confirmed is None:
            return None
        wall, monotonic = self._confirmed
        return wall + round((self._clock.monotonic() - monotonic) * 1000)


def _contradiction(offsets: Sequence[int]) -> int | None:
    """The offset that most of the sources agree on, if that is too much; None where they don't.

    One alone counts only beyond an hour: less may be an old reply from a cache that doesn't say so.
    """
    limit = CLOCK_AHEAD if len(offsets) > 1 else ALONE
    wrong = [offset for offset in offsets if abs(offset) > limit]
    if not wrong:
        return None
    middle = median_low(wrong)
    agreeing = [offset for offset in wrong if abs(offset - middle) <= CLOCK_AHEAD]
    return middle if 2 * len(agreeing) > len(offsets) else None


def _offsets(answers: Iterable[Answer], now: int) -> Iterable[int]:
    """How far our clock is ahead of each source's, in ms: by its `Date`, else by its own time of a new quote."""
    for answer in answers:
        if answer.clock_offset is not None:
            yield answer.clock_offset
        elif answer.fault is None and answer.quote is not None and answer.quote.time is not None:
            yield now - answer.quote.time


def _wrong_clock(offset: int) -> str:
    """The fault and the remedy, worded the same while it lasts."""
    unit, size = next(each for each in _UNITS if abs(offset) >= each[1])
    direction = "ahead of" if offset > 0 else "behind"
    return (
        f"the clock of this machine is {abs(offset) // size} {unit} {direction} the sources' clocks: "
        "set it, and prices go on"
    )
