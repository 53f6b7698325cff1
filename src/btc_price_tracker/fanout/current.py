"""The price, its status and the sources as they stand now, and the frames that show them."""

from collections.abc import Callable

import structlog

from btc_price_tracker.clock import Clock
from btc_price_tracker.fanout import sse
from btc_price_tracker.price.model import Status, Tick, Update

INITIAL = Update(Status.STALE, "No price yet: the sources are being polled.")

log = structlog.get_logger(__name__)


class CurrentPrice:
    """What the last update left this instance with."""

    def __init__(self, clock: Clock, latest: Tick | None, update: Update) -> None:
        self.update = update  # the last one
        self.describe_sources: Callable[[], bytes] = lambda: b"{}"  # the body of `/sources` now
        self._clock = clock
        self._tick = latest
        # Monotonic times: no step of the wall clock makes a price younger or older than it is.
        self._published_at = self._answered_at = clock.monotonic()
        if latest is not None:
            self._published_at -= max(clock.now() - latest.id, 0) / 1000
        self._newest_status = self._encode_status()
        self._sources_frame = b""  # of the last round; encoded when the first stream needs it
        self._logged: set[type[Exception]] = set()  # exception types whose traceback was logged

    @property
    def latest(self) -> Tick | None:
        """The newest price as it stands now: it ages, and is stale where nothing fresh has followed it."""
        if self._tick is None:
            return None
        tick = self._tick.after(round((self._clock.monotonic() - self._published_at) * 1000))
        return tick.outdated() if self.status is Status.STALE else tick

    @property
    def status(self) -> Status:
        """The status of the last update."""
        return self.update.status

    @property
    def reason(self) -> str:
        """The reason of the status."""
        return self.update.reason

    def monotonic(self) -> float:
        """The monotonic time, in seconds, by the clock of this instance."""
        return self._clock.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since any source answered, or since the start."""
        return self._clock.monotonic() - self._answered_at

    def sources(self) -> bytes:
        """The `sources` frame of the last round: encoded when the first stream needs it, for all of them."""
        if not self._sources_frame:
            try:
                self._sources_frame = sse.sources(self.describe_sources())
            except Exception as error:  # noqa: BLE001 - a bug there costs the sources, not the price
                self._log_bug(error)
        return self._sources_frame

    def _apply(self, update: Update) -> bool:
        """Take the place of the last update; returns whether the status changed."""
        if update.silence is not None:
            self._answered_at = self._clock.monotonic() - update.silence / 1000
        is_new_status = (update.status, update.reason) != (self.status, self.reason)
        self.update = update
        if is_new_status:
            self._newest_status = self._encode_status()
        if update.tick is not None:
            self._tick, self._published_at = update.tick, self._clock.monotonic()
        return is_new_status

    def _encode_status(self) -> bytes:
        return sse.status(self.status, self.reason, self._clock.now() // 1000)

    def _log_bug(self, error: Exception) -> None:
        """Log the traceback of the first exception of each type."""
        if type(error) not in self._logged:
            self._logged.add(type(error))
            log.error("stream failed", exc_info=error)
