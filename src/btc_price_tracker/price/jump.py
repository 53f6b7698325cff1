"""A price that few vouch for and that is far from the last one waits a round for confirmation."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.price.parameters import JUMP
from btc_price_tracker.price.publisher import Verdict
from btc_price_tracker.price.votes import near
from btc_price_tracker.price.wording import percent, withheld

_MOVE = f"a move of more than {percent(JUMP)}"


@dataclass(slots=True)
class JumpGuard:
    """Remembers the price that waits. It never stands in the way of a price that is `ok`."""

    _waiting: Decimal | None = None

    def check(self, verdict: Verdict, last: Tick | None) -> Verdict:
        """The verdict, or none this round if it jumps from the `last` price and didn't wait before."""
        waited, self._waiting = self._waiting, None
        if (
            verdict.price is None
            or verdict.status is Status.OK
            or last is None
            or _close(verdict.price, last.price)
        ):
            return verdict
        if waited is not None and _close(verdict.price, waited):
            return replace(verdict, reason=f"{verdict.reason} Confirmed after {_MOVE}.")
        self._waiting = verdict.price
        return Verdict(Status.STALE, f"{_MOVE} waits for confirmation.", withheld(verdict.quotes, _MOVE))


def _close(price: Decimal, other: Decimal) -> bool:
    return near(Fraction(price), Fraction(other), JUMP)
