"""From a verdict to an update: ids that only rise, and a last price that ages and expires."""

from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from btc_price_tracker.price.model import AssessedQuote, Status, Tick, Update
from btc_price_tracker.price.parameters import MAX_STALE, MAX_STALE_POLLS


class Verdict(Struct, frozen=True):
    """A policy's conclusion from one round. Without a price the status is stale, and the reason a clause."""

    status: Status
    reason: str
    quotes: tuple[AssessedQuote, ...]
    price: Decimal | None = None
    spread: Decimal = Decimal(0)


@dataclass(slots=True)
class Publisher:
    """The last tick, and since when it has not been fresh. Ids are above `floor`: up to there they are taken.

    A price is as old as the newest quote that it rests on; one that was restored after a restart goes on ageing.
    """

    method: str
    interval: int  # ms between rounds
    last: Tick | None = None
    floor: int = 0
    recorded: bool = False  # whether the quotes are played back
    _quoted_at: int = field(
        init=False, default=0
    )  # the time of the newest quote that the last price rests on
    _now: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.last is not None:
            self._now = self.last.id
            self._quoted_at = self.last.id - self.last.quote_age

    @property
    def _max_stale(self) -> int:
        return max(MAX_STALE, MAX_STALE_POLLS * self.interval)

    def begin(self, now: int) -> Tick | None:
        """Start a round at `now`: the last tick if its price still counts, else None.

        Where our clock was set back, the price ages as if one interval had passed.
        """
        if now < self._now:
            self._quoted_at += now - self._now - self.interval
        self._now = now
        is_over = self.last is None or now - self._quoted_at > self._max_stale
        return None if is_over else self.last

    def publish(self, verdict: Verdict) -> Update:
        """The update of the round that was begun."""
        if verdict.price is None:
            return self._repeat(verdict)
        quote_age = min(
            (each.age for each in verdict.quotes if each.used and each.age is not None), default=0
        )
        self._quoted_at = self._now - quote_age
        self.last = Tick(
            id=self._next_id(),
            price=verdict.price,
            status=verdict.status,
            sources=sum(each.used for each in verdict.quotes),
            spread=verdict.spread,
            quote_age=quote_age,
            method=self.method,
            quotes=verdict.quotes,
            recorded=self.recorded,
        )
        return Update(verdict.status, verdict.reason, self.last, verdict.quotes)

    def _repeat(self, verdict: Verdict) -> Update:
        """The last price again, stale and older, for as long as it counts."""
        age = self._now - self._quoted_at
        if self.last is None:
            return Update(Status.STALE, f"No price yet: {verdict.reason}", None, verdict.quotes)
        if age > self._max_stale:
            reason = f"No price for more than {self._max_stale // 1000} s: {verdict.reason}"
            return Update(Status.STALE, reason, None, verdict.quotes)
        self.last = replace(
            self.last,
            id=self._next_id(),
            status=Status.STALE,
            sources=0,
            quote_age=age,
            quotes=verdict.quotes,
        )
        return Update(Status.STALE, f"The last price stands: {verdict.reason}", self.last, verdict.quotes)

    def _next_id(self) -> int:
        return max(self._now, self.floor + 1, self.last.id + 1 if self.last else 0)
