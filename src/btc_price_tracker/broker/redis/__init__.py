"""Redis or Valkey as broker: a stream with explicit ids, a lease that expires, scripts that fence.

A tick is an entry `<tick id>-0`, so Redis itself keeps them in order. Updates without a tick are in a second stream
with few entries, whose ids put each behind the tick before it; a follower reads both in one command.
Needs Redis 6.2 or newer, or any Valkey.
"""

import re
import secrets
from collections.abc import AsyncGenerator
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from btc_price_tracker.broker.address import Address
from btc_price_tracker.broker.cancellation import finish
from btc_price_tracker.broker.options import Options
from btc_price_tracker.broker.probes import Probes
from btc_price_tracker.broker.redis import scripts
from btc_price_tracker.broker.redis.errors import attempt
from btc_price_tracker.broker.redis.follower import Client, Follower
from btc_price_tracker.broker.redis.keys import Keys
from btc_price_tracker.broker.redis.term import RedisTerm
from btc_price_tracker.errors import BrokerUnavailable, InvalidBrokerUrl
from btc_price_tracker.price.model import Update

HIGHEST = 2**53  # ids above aren't ours: the year 287396
DISCONNECTING = 1.0  # seconds; the connection may be broken already
PROBE_TTL = 60  # seconds that the probes of an instance outlive it


class RedisBroker:
    """See Broker."""

    def __init__(self, address: Address, options: Options) -> None:
        self._address = address
        self._options = options
        self._timing = options.timing
        self._keys = Keys(options.instance)
        self._probes = Probes(options.timing.probe)
        self._commands = self._client()
        self._followers: set[Client] = set()
        self._seen_term = (
            0  # the highest number that came with an update: it survives a Redis without its memory
        )
        self._closed = False

    async def follow(self, after: int) -> AsyncGenerator[Update, None]:
        """See Broker."""
        self._check_open()
        client = self._client()
        self._followers.add(client)
        try:
            follower = Follower(client, self._keys, self._timing.silence, self._probes)
            async for update in follower.updates(after):
                self._seen_term = max(self._seen_term, update.term)
                yield update
        finally:
            self._followers.discard(client)
            await finish(client.aclose(), DISCONNECTING)

    async def campaign(self) -> RedisTerm:
        """See Broker."""
        keys = self._keys
        owner, lease = f"{self._options.instance}:{secrets.token_hex(4)}", round(self._timing.lease * 1000)
        while True:
            requested = self._options.clock.monotonic()
            number, detail = await self._run(
                scripts.CAMPAIGN, [keys.lease, keys.term, keys.ticks], [owner, lease, self._seen_term]
            )
            if number:
                break
            async with attempt(
                self._timing.request
            ):  # wait for a hand-over, or for what is left of the lease
                await self._commands.blpop([keys.handover], min(detail / 1000, self._timing.request / 2))
        return RedisTerm(
            number,
            _last_tick(detail),
            token=f"{owner}:{number}",
            granted=requested,
            run=self._run,
            keys=keys,
            options=self._options,
        )

    async def probe(self) -> None:
        """See Broker."""
        await self._probes.travel(self._send_probe)

    async def aclose(self) -> None:
        """See Broker."""
        self._closed = True
        for client in [self._commands, *self._followers]:
            await finish(client.aclose(), DISCONNECTING)

    async def _send_probe(self, probe: str) -> None:
        self._check_open()
        async with attempt(self._timing.request), self._commands.pipeline(transaction=True) as pipeline:
            pipeline.xadd(self._keys.probes, {"probe": probe}, maxlen=1, approximate=False)
            pipeline.expire(self._keys.probes, PROBE_TTL)
            await pipeline.execute()

    async def _run(self, script: str, keys: list[str], arguments: list[Any]) -> Any:
        """Run a script. Raises BrokerUnavailable."""
        self._check_open()
        async with attempt(self._timing.request):
            return await self._commands.register_script(script)(keys=keys, args=arguments)

    def _check_open(self) -> None:
        if self._closed:
            raise BrokerUnavailable("the broker is closed")

    def _client(self) -> Client:
        """A client that repeats nothing and has no timeouts of its own."""
        host, port = self._address.hosts[0]
        options: dict[str, Any] = (
            {"connection_class": SSLConnection} if self._address.scheme == "rediss" else {}
        )
        pool = ConnectionPool(
            host=host, port=port, db=int(self._address.name or 0), username=self._address.user,
            password=self._address.password, socket_timeout=None,
            socket_connect_timeout=None,
            socket_keepalive=True, protocol=2, driver_info=None, retry=Retry(NoBackoff(), 0), **options,
        )  # fmt: skip
        return Redis.from_pool(pool)


def open_address(address: Address, options: Options) -> RedisBroker:
    """The broker at an address. Raises InvalidBrokerUrl."""
    if len(address.hosts) > 1 or not re.fullmatch("[0-9]{0,9}", address.name):
        raise InvalidBrokerUrl(
            "BROKER_URL must name one host and a database by its number: redis://host:6379/0"
        )
    return RedisBroker(address, options)


def _last_tick(key: bytes) -> int:
    """The id of a tick from that of its entry. Raises BrokerUnavailable where no tick could follow it."""
    last = int(key.partition(b"-")[0])
    if last > HIGHEST:
        raise BrokerUnavailable(f"redis: {Keys.ticks} holds the id {last}, which is no time; delete that key")
    return last
