"""Between the instance that polls and all that deliver: the Broker and Term protocols."""

from collections.abc import AsyncGenerator
from typing import Protocol

from btc_price_tracker.price.model import Update


class Term(Protocol):
    """The leadership of one instance, from `campaign()` until it is lost or given up."""

    @property
    def number(self) -> int:
        """Higher than that of each earlier term."""

    @property
    def last(self) -> int:
        """The highest id in the broker when the term began; 0 without one. Ticks of the term need higher ids."""

    async def publish(self, update: Update) -> None:
        """Send an update, with the number of this term, to the follower of each instance.

        Ticks come with increasing ids. Fenced: the broker itself refuses it once a later term has begun. Raises
        LeaseLost then, or where that may be so, and BrokerUnavailable where the broker can't be reached: the outcome is
        unknown, and publishing the same id again neither fails nor repeats it.
        """

    async def hold(self) -> None:
        """Renew the lease until cancelled.

        Raises LeaseLost when another term has begun, or when the lease could not be renewed for its duration.
        """

    async def resign(self) -> None:
        """Give the lease up, so that the next leader can start at once. Without a broker, it expires by itself."""


class Broker(Protocol):
    """Carries updates from the leader to every instance, in order, and decides which instance leads."""

    def follow(self, after: int) -> AsyncGenerator[Update, None]:
        """Every held update with a tick after the id `after`, then each new update, in order, no gap, no repeat.

        Updates without a tick aren't held, except that the newest one comes first to a new follower if no tick has
        followed it. Raises BrokerUnavailable when the connection fails or falls silent; the caller starts again with
        its newest id.
        """

    async def campaign(self) -> Term:
        """Wait until this instance leads. Raises BrokerUnavailable."""

    async def probe(self) -> None:
        """Send a probe that travels the way of the updates, and return when this instance's follower has received it.

        Raises BrokerUnavailable if that takes too long.
        """

    async def aclose(self) -> None:
        """Disconnect; what still runs ends with BrokerUnavailable. Idempotent."""
