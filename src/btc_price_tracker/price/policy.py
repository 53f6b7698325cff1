"""What decides the price: a policy takes a round of answers and makes an update of them."""

from collections.abc import Sequence
from typing import Protocol

from btc_price_tracker.price.model import Answer, Tick, Update


class Policy(Protocol):
    """Pure: the same answers at the same times give the same updates."""

    @property
    def last(self) -> Tick | None:
        """The last tick it made, or was given at the start."""

    def enough(self, answers: Sequence[Answer], now: int) -> bool:
        """Whether these answers of one round do for a price, so that the rest needn't be waited for."""

    def decide(self, answers: Sequence[Answer], now: int) -> Update:
        """Conclude from one round of answers, in order of preference, at `now` (ms since the epoch)."""
