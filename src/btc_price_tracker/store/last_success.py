"""When the store last worked."""

from collections.abc import Callable

from btc_price_tracker.clock import Clock

Observe = Callable[[str, float, bool], None]  # operation, seconds, success


class LastSuccess:
    """Notes the time of each operation that succeeded, and passes all on to `observe`: for a TimedStore."""

    def __init__(self, clock: Clock, observe: Observe) -> None:
        self._clock = clock
        self._observe = observe
        self._at: float | None = None  # monotonic time

    @property
    def age(self) -> float | None:
        """Seconds since an operation succeeded; None before the first."""
        return None if self._at is None else self._clock.monotonic() - self._at

    def observe(self, operation: str, seconds: float, succeeded: bool) -> None:  # noqa: FBT001 - one callback for all
        """Note the outcome of an operation."""
        if succeeded:
            self._at = self._clock.monotonic()
        self._observe(operation, seconds, succeeded)
