"""Several instances at one broker."""

from typing import Protocol

from btc_price_tracker.broker import Broker
from btc_price_tracker.broker.opening import open_broker
from btc_price_tracker.broker.options import History, Options, Timing

QUICK = Timing(lease=2, renewal=0.5)  # for tests that wait for a lease to expire
PATIENT = Timing(lease=60, probe=20)  # for the others


class BrokerServer(Protocol):
    """What the contract needs of a server."""

    def new_url(self) -> str: ...
    def connections(self, url: str) -> int: ...
    async def write_garbage(self, url: str, tick_id: int) -> None: ...
    async def forget(self, url: str) -> None: ...
    def start(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...
    def kill(self) -> None: ...


class Service:
    """The brokers of the instances of one service."""

    def __init__(self, server: BrokerServer) -> None:
        self.server = server
        self.url = server.new_url()
        self._opened: list[Broker] = []

    def open(self, instance: str = "a", timing: Timing = PATIENT, ticks: int = 10_000) -> Broker:
        """The broker of an instance."""
        broker = open_broker(self.url, Options(instance, History(ticks, 86_400), timing))
        self._opened.append(broker)
        return broker

    async def aclose(self) -> None:
        for broker in self._opened:
            await broker.aclose()
