"""One log line for each stream that ended or, where many end, for some of them and a summary of the rest."""

from collections import Counter
from typing import Any

import structlog

from btc_price_tracker.fanout.counts import NOTHING, Reason, Record, Sums

LINES = 20  # per period: a storm of thousands of disconnects must not flood the log, nor delay the event loop
PERIOD = 60.0  # seconds

log = structlog.get_logger(__name__)


class Endings:
    """Logs the first `lines` endings of a period, and what they were together for the rest."""

    def __init__(self, lines: int = LINES, period: float = PERIOD) -> None:
        """Periods of so many seconds begin with an ending."""
        self._lines = lines
        self._period = period
        self._began = float("-inf")
        self._logged = 0
        self._unlogged: Counter[Reason] = Counter()
        self._sent = NOTHING  # to these

    def record(self, record: Record, request_id: str | None, reason: Reason, sent: Sums, now: float) -> None:
        """Note that a stream ended at `now` (monotonic), having been sent so much."""
        if now - self._began >= self._period:
            self.summarize()
            self._began, self._logged = now, 0
        if self._logged < self._lines:
            self._logged += 1
            log.info(
                "stream ended",
                reason=reason,
                duration_s=round(now - record.began, 3),
                events=sent.events,
                bytes=sent.size,
                resumed_from=record.resumed_from,
                **_ids(record, request_id),
            )
        else:
            self._unlogged[reason] += 1
            self._sent = self._sent.plus(sent)

    def watch(self, now: float) -> None:
        """Log the summary once the period is over."""
        if now - self._began >= self._period:
            self.summarize()

    def summarize(self) -> None:
        """Log what has not been logged, if anything."""
        if self._unlogged:
            log.info(
                "more streams ended",
                count=self._unlogged.total(),
                reasons=dict(self._unlogged),
                events=self._sent.events,
                bytes=self._sent.size,
            )
            self._unlogged.clear()
            self._sent = NOTHING


def _ids(record: Record, request_id: str | None) -> dict[str, Any]:
    stream_id = f"{record.stream_id:016x}"
    return {"stream_id": stream_id, "request_id": stream_id if request_id is None else request_id}
