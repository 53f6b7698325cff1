"""NATS with JetStream as broker: one stream, in which the chain of expected sequences is the fence.

Ticks, the newest update without one, and the lease are messages on three subjects of the stream. The server repeats
what it has stored on subjects of plain NATS, and these are the live path: so a follower costs the server one
subscription. History and gaps are read from the stream by sequence, without a consumer.
"""

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator
from contextlib import suppress

from nats.aio.msg import Msg

from btc_price_tracker.broker.address import Address
from btc_price_tracker.broker.nats.connection import Connector, SharedConnection
from btc_price_tracker.broker.nats.errors import attempt
from btc_price_tracker.broker.nats.follower import Follower
from btc_price_tracker.broker.nats.log import PAGE, Conflict, Entry, Log, number
from btc_price_tracker.broker.nats.names import FREE, OWNER, ROLLUP, TERM, Names
from btc_price_tracker.broker.nats.term import NatsTerm, Start
from btc_price_tracker.broker.options import Options
from btc_price_tracker.broker.probes import Probes
from btc_price_tracker.errors import BrokerUnavailable, InvalidBrokerUrl
from btc_price_tracker.price.model import Update

DEFAULT_NAME = "btc-price-tracker"


class NatsBroker:
    """See Broker."""

    def __init__(self, address: Address, options: Options) -> None:
        self._names = Names(address.name or DEFAULT_NAME)
        self._options = options
        self._timing = options.timing
        self._probes = Probes(options.timing.probe)
        self._connector = Connector(address, options.timing.request)
        self._commands = SharedConnection(self._connector)
        self._probe_subject = self._names.probes(secrets.token_hex(8))
        self._followers: set[Follower] = set()
        self._subscribed = asyncio.Event()  # while a follower receives
        self._seen_term = 0  # the highest number that came with an update: it survives a deleted stream
        self._closed = False

    async def follow(self, after: int) -> AsyncGenerator[Update, None]:
        """See Broker."""
        if self._closed:
            raise BrokerUnavailable("the broker is closed")
        follower = Follower(self._connector, self._names, self._probe_subject, self._timing, self._probes)
        self._followers.add(follower)
        try:
            async for update in follower.updates(after, self._options.history, self._subscribed):
                self._seen_term = max(self._seen_term, update.term)
                yield update
        finally:
            self._followers.discard(follower)
            if not any(each.is_subscribed for each in self._followers):
                self._subscribed.clear()

    async def campaign(self) -> NatsTerm:
        """See Broker."""
        log = await self._log()
        await log.ensure(self._options.history)
        renewed = asyncio.Event()

        async def note(_: Msg) -> None:
            renewed.set()

        async with attempt(self._timing.request):
            subscription = await log.client.subscribe(f"{self._names.live}.{self._names.lease}", cb=note)
        try:
            return await self._wait_for_lease(log, renewed)
        finally:
            with suppress(Exception):  # the connection may have ended
                await subscription.unsubscribe()

    async def probe(self) -> None:
        """See Broker."""
        await self._probes.travel(self._send_probe)

    async def aclose(self) -> None:
        """See Broker."""
        self._closed = True
        await self._commands.aclose()
        for follower in self._followers:
            await follower.stop()

    async def _wait_for_lease(self, log: Log, renewed: asyncio.Event) -> NatsTerm:
        """Begin a term once the lease is free, or its newest message has stayed the newest for the lease's duration."""
        seen = 0
        while True:
            renewed.clear()
            lease = await log.last(self._names.lease)
            if lease is None or FREE in lease.headers or lease.sequence == seen:
                with suppress(Conflict):
                    return await self._begin(log, lease)
            seen = lease.sequence if lease else 0
            with suppress(TimeoutError):
                async with asyncio.timeout(self._timing.lease):
                    await renewed.wait()

    async def _begin(self, log: Log, lease: Entry | None) -> NatsTerm:
        """Begin a term. Raises Conflict where something was written meanwhile."""
        requested = self._options.clock.monotonic()
        oldest, newest = await log.bounds()
        current = await log.last(self._names.lease)
        if (current and current.sequence) != (lease and lease.sequence):
            raise Conflict
        former = number(lease.headers, TERM) if lease else None
        term = max(newest, former or 0, self._seen_term) + 1
        token = f"{self._options.instance}:{term}:{secrets.token_hex(4)}"
        headers = {**ROLLUP, TERM: str(term), OWNER: token}
        sequence = await log.append(self._names.lease, b"", headers, behind=newest)
        last = await _last_tick(log, oldest, newest)
        start = Start(token, sequence, requested)
        return NatsTerm(term, last, start, self._commands, self._names, self._options)

    async def _log(self) -> Log:
        return Log(await self._commands.client(), self._names, self._timing.request)

    async def _send_probe(self, probe: str) -> None:
        await self._subscribed.wait()  # the server forgets what it can't deliver
        client = await self._commands.client()
        async with attempt(self._timing.request):
            await client.publish(self._probe_subject, probe.encode())


def open_address(address: Address, options: Options) -> NatsBroker:
    """The broker at an address. Raises InvalidBrokerUrl."""
    if not re.fullmatch("[A-Za-z0-9_-]{0,100}", address.name):
        raise InvalidBrokerUrl(
            "BROKER_URL may name the stream with letters, digits, - and _ only: nats://host:4222/name"
        )
    return NatsBroker(address, options)


async def _last_tick(log: Log, oldest: int, newest: int) -> int:
    """The id of the newest tick; 0 without one. What isn't a tick is passed over."""
    newest_tick = await log.last(log.names.ticks)
    if newest_tick is None:
        return 0
    for start in range(newest, oldest - PAGE, -PAGE):
        page = [entry.tick_id async for entry in log.ticks(max(start - PAGE, 1))]
        if found := [tick_id for tick_id in [*page, newest_tick.tick_id] if tick_id is not None]:
            return max(found)
    return 0
