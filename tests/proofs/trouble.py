"""What can happen to the instances of a service and to their broker."""

import asyncio
import random
import signal
import sys
from collections.abc import Sequence

from broker.proxy import Proxy
from broker.service import BrokerServer
from proofs.instances import Fleet, Instance

LEASE, INTERVAL, SLACK = 6, 1, 8  # seconds; Kafka makes candidates that shut one another out wait once more


class Trouble:
    """Makes trouble, and sees that prices go on."""

    def __init__(self, service: Fleet, server: BrokerServer, ways: Sequence[Proxy]) -> None:
        """`ways` are the proxies between the instances and the broker, if there are any."""
        self._service = service
        self._server = server
        self._ways = ways

    async def make_all(self, chance: random.Random) -> None:
        """Each kind once, in any order."""
        kinds = [
            self.kill_the_leader,
            self.freeze_the_leader,
            self.restart_the_broker,
            self.restart_one_by_one,
        ]
        if self._ways:
            kinds += [self.cut_the_leader_off, self.cut_a_follower_off]
        for kind in chance.sample(kinds, len(kinds)):
            say(kind.__name__)
            await kind()
            await self._service.ready()

    async def kill_the_leader(self) -> None:
        leader = await self._service.leader()
        await leader.end(signal.SIGKILL)
        await self._is_succeeded(leader, "killed")
        leader.start()

    async def freeze_the_leader(self) -> None:
        """For longer than its lease; thawed, it publishes nothing any more."""
        leader = await self._service.leader()
        leader.signal(signal.SIGSTOP)
        await self._is_succeeded(leader, "frozen")
        await asyncio.sleep(2)
        leader.signal(signal.SIGCONT)

    async def cut_the_leader_off(self) -> None:
        """For longer than its lease; what it sent meanwhile arrives late."""
        leader = await self._service.leader()
        way = self._ways[self._service.instances.index(leader)]
        way.silence()
        await self._is_succeeded(leader, "cut off")
        await asyncio.sleep(2)
        way.resume()

    async def cut_a_follower_off(self) -> None:
        leader = self._service.instances.index(await self._service.leader())
        way = self._ways[(leader + 1) % len(self._ways)]
        way.silence()
        await asyncio.sleep(8)
        way.cut()
        way.resume()

    async def restart_the_broker(self) -> None:
        self._server.kill()
        await asyncio.sleep(4)
        self._server.start()

    async def restart_one_by_one(self) -> None:
        for each in self._service.instances:
            await each.end(signal.SIGTERM)
            assert each.process is not None
            assert each.process.returncode == 0
            each.start()
            await self._service.ready()

    async def _is_succeeded(self, leader: Instance, fate: str) -> None:
        seconds = await self._service.next_price(besides=leader)
        say(f"{fate}: next price after {seconds:.1f} s")
        assert seconds < LEASE + INTERVAL + SLACK


def say(line: str) -> None:
    """Report progress, for long runs with `pytest -s`."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
