"""What is counted about rounds on the instance that polls."""

from collections import Counter

from btc_price_tracker.meters import DELAYS, Distribution, trace_id_of
from btc_price_tracker.price.model import QuoteState, Status, Update


class RoundMeters:
    """Counts that only grow, and durations in seconds."""

    __slots__ = ("quote_delays", "quotes", "rounds", "seconds")

    def __init__(self) -> None:
        self.rounds: Counter[Status] = Counter()
        self.seconds = Distribution()  # of a round
        self.quotes: Counter[tuple[str, QuoteState]] = Counter()  # by source, and by what became of its quote
        self.quote_delays: dict[
            str, Distribution
        ] = {}  # from a used quote's own time to publication, by source

    def record(self, update: Update, seconds: float) -> None:
        """Count a round that is about to be published."""
        self.rounds[update.status] += 1
        self.seconds.observe(seconds, trace_id_of(update.trace))
        for quote in update.quotes:
            if quote.state is not None:
                self.quotes[quote.source, quote.state] += 1
            if quote.used and quote.time is not None and update.stages.published:
                delay = max(update.stages.published - quote.time, 0) / 1000
                self.quote_delays.setdefault(quote.source, Distribution(DELAYS)).observe(delay)
