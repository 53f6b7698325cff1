"""The scenes of a bad day: what happens, and which alerts it is to make."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from broker.valkey import ValkeyServer
from databases.postgres import PostgresServer
from proofs.crowds import connect_storm, slow_clients
from proofs.instances import Fleet, Instance
from proofs.outages import absence, broker_outage, source_outage, store_outage, wrong_clock
from proofs.prometheus import SPEED
from proofs.watch import Watch

PLACES = 300  # MAX_CLIENTS
SLOW, OTHERS = 30, 120  # clients
MINUTE = 60 / SPEED  # seconds
SLACK = 30  # seconds: until a trouble is noticed, scrapes, a busy machine
# Real seconds, whatever the rules say:
CIRCUIT = 80  # until a source that recovered is asked again
STANDS = 300  # for which the last price is repeated, as stale


def at(alert: str, instance: Instance) -> str:
    """The name of an alert of an instance."""
    return f"{alert} 127.0.0.1:{instance.port}"


@dataclass(frozen=True, slots=True)
class Scenes:
    """A service with its servers, and the watch over its alerts."""

    service: Fleet
    broker: ValkeyServer
    store: PostgresServer
    watch: Watch
    earliest: int  # the first id in the store

    async def play(self, *, is_full: bool) -> None:
        """Everything that can happen on a day; unless it is a full one, only what takes minutes."""
        await self.quiet()
        first = await self.service.leader()
        if is_full:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.slow_clients(first))
                group.create_task(self.more_and_more_sources_fail())
            await self.quiet()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.connect_storm(first))
            group.create_task(self.wrong_clock(first))
        await self.quiet()

    async def quiet(self) -> None:
        """Longer than what makes the quickest alerts would go unnoticed."""
        await asyncio.sleep(1.2 * MINUTE)
        assert self.watch.firing == set()
        self.watch.say("all quiet")

    async def wrong_clock(self, first: Instance) -> None:
        """Another leads, and meets with the next troubles while the wrong clock is remembered."""
        alert = at("ClockBehind", first)
        async with self.watch.expects(alert, seconds=10 * MINUTE + SLACK) as fired:
            async with wrong_clock(self.service, first):
                await fired()
            second = await self.service.leader()
            async with asyncio.TaskGroup() as group:
                group.create_task(self.store_fails(second))
                group.create_task(self.all_sources_fail())
            await self.leader_is_killed(second)
            await self.broker_restarts()

    async def store_fails(self, leader: Instance) -> None:
        expected = self.watch.expects(at("StoreDown", leader), seconds=5 * MINUTE + SLACK)
        async with expected as fired, store_outage(self.store):
            await fired()

    async def all_sources_fail(self) -> None:
        expected = self.watch.expects("PriceStale", seconds=2 * MINUTE + CIRCUIT + SLACK)
        async with expected as fired, source_outage(self.service, *self.service.sources):
            await fired()

    async def leader_is_killed(self, leader: Instance) -> None:
        """Another leads; this one is started late."""
        expected = self.watch.expects(at("InstanceDown", leader), seconds=MINUTE + SLACK)
        async with expected as fired, absence(leader):
            await fired()
        await self.service.ready()

    async def broker_restarts(self) -> None:
        async with (
            self.watch.expects("BrokerDown", seconds=MINUTE + SLACK) as fired,
            broker_outage(self.broker),
        ):
            await fired()
        await self.service.ready()

    async def connect_storm(self, instance: Instance) -> None:
        alerts = ("StreamsRejected", at("InstanceNearlyFull", instance))
        expected = self.watch.expects(*alerts, seconds=10 * MINUTE + SLACK)
        async with expected as fired, connect_storm(instance, PLACES):
            await fired()

    async def slow_clients(self, instance: Instance) -> None:
        expected = self.watch.expects(at("StreamsLagging", instance), seconds=10 * MINUTE + SLACK)
        async with expected as fired, slow_clients(instance, self.earliest, SLOW, OTHERS):
            await fired()

    async def more_and_more_sources_fail(self) -> None:
        """One of four; then two, so that the price is degraded; then all, so that there is none any more."""
        *others, third, fourth = self.service.sources
        patience = 15 * MINUTE + CIRCUIT + SLACK
        expected = self.watch.expects(f"SourceFailing {fourth}", seconds=patience)
        async with expected as fired, source_outage(self.service, fourth):
            await fired()
            await self._second_source_fails(third, others)

    async def _second_source_fails(self, third: str, others: Sequence[str]) -> None:
        patience = 30 * MINUTE + CIRCUIT + SLACK
        expected = self.watch.expects(f"SourceFailing {third}", "PriceDegraded", seconds=patience)
        async with expected as fired, source_outage(self.service, third):
            await fired()
            await self._last_sources_fail(others)

    async def _last_sources_fail(self, others: Sequence[str]) -> None:
        alerts = [*(f"SourceFailing {each}" for each in others), "PriceStale", "PriceNotPublished"]
        patience = STANDS + 7 * MINUTE + CIRCUIT + SLACK
        expected = self.watch.expects(*alerts, seconds=patience)
        async with expected as fired, source_outage(self.service, *others):
            await fired()
