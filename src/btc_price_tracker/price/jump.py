"""A price that few sources support and that is far from the last one waits a round for confirmation."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from btc_price_tracker.price.bounds import price_and_spread
from btc_price_tracker.price.model import QuoteState, Status, Tick
from btc_price_tracker.price.parameters import JUMP
from btc_price_tracker.price.publisher import Verdict
from btc_price_tracker.price.screening import unused
from btc_price_tracker.price.votes import near, to_the_cent
from btc_price_tracker.price.wording import JUMP_MOVE


@dataclass(slots=True)
class JumpGuard:
    """Remembers the price that waits. It never withholds a price that is `ok`."""

    _waiting: Decimal | None = None

    def check(self, verdict: Verdict, last: Tick | None) -> Verdict:
        """The verdict, or one without a price where it jumps from the `last` price and hasn't waited yet."""
        waited, self._waiting = self._waiting, None
        if (
            verdict.price is None
            or verdict.status is Status.OK
            or last is None
            or _is_close(verdict.price, last.price)
        ):
            return verdict
        if waited is not None and _is_close(verdict.price, waited):
            return replace(verdict, reason=f"{verdict.reason} Confirmed after {JUMP_MOVE}.")
        self._waiting = verdict.price
        quotes = (unused(each, QuoteState.UNCONFIRMED) if each.used else each for each in verdict.quotes)
        return Verdict(Status.STALE, f"{JUMP_MOVE} waits for confirmation.", tuple(quotes))

    def replay(self, tick: Tick) -> None:
        """Remember the price that waits since this tick, if one does."""
        waiting = [each for each in tick.quotes if each.state is QuoteState.UNCONFIRMED]
        used = [replace(each, used=True) for each in waiting]
        self._waiting = to_the_cent(price_and_spread(used)[0]) if used else None


def _is_close(price: Decimal, other: Decimal) -> bool:
    return near(Fraction(price), Fraction(other), JUMP)
