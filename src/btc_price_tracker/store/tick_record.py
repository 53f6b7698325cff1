"""The record of a tick in exported files and snapshots, of this and older versions."""

from decimal import Decimal

from msgspec import Struct

from btc_price_tracker.price.model import AssessedQuote, Status, Tick


class TickRecord(Struct, frozen=True):
    """A tick as read from a file. Older versions wrote its age in whole seconds only."""

    id: int
    price: Decimal
    status: Status
    sources: int
    spread: Decimal
    method: str
    age: int | None = None  # s
    quote_age: int | None = None  # ms
    quotes: tuple[AssessedQuote, ...] = ()
    recorded: bool = False

    def tick(self) -> Tick:
        """Convert to a Tick. Raises ValueError where the age is missing."""
        if self.quote_age is None and self.age is None:
            raise ValueError("it has neither quote_age (ms) nor age (s)")
        return Tick(
            id=self.id,
            price=self.price,
            status=self.status,
            sources=self.sources,
            spread=self.spread,
            quote_age=self.quote_age if self.quote_age is not None else 1000 * (self.age or 0),
            method=self.method,
            quotes=self.quotes,
            recorded=self.recorded,
        )
