"""A source as the poller sees it, whether its quotes are requested or pushed."""

from typing import Protocol

from btc_price_tracker.price.model import Answer, Kind, SourceState


class Source(Protocol):
    """One source of a price, or of an exchange rate."""

    @property
    def name(self) -> str:
        """The name in SOURCES, or that of a rate."""

    @property
    def kind(self) -> Kind:
        """Whether it is a market itself."""

    @property
    def currency(self) -> str:
        """What its prices are in: USD or USDT."""

    async def refresh(self, time_limit: float, *, urgent: bool = False) -> None:
        """Get a newer quote within `time_limit` seconds if one is due, or wait for the request in progress.

        Never raises: `answer` has the fault. A cancelled caller leaves the request in progress, for a later call to
        wait for. `urgent` means that no source is usable: a pause that this one asked for may end early.
        """

    def answer(self) -> Answer:
        """Return the newest quote, and why there is no newer one, without I/O."""

    def state(self) -> SourceState:
        """Return how the last attempt turned out; `ok` if it succeeded, however old its quote is by now."""

    async def aclose(self) -> None:
        """Cancel the request in progress."""
