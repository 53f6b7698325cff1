"""Lookups in threads: none waits for another, and known addresses are used while they fail."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from btc_price_tracker.http_client.resolver import Addresses, Resolver, system_lookup
from btc_price_tracker.testing import eventually

HERE: Addresses = [(socket.AF_INET, "127.0.0.1")]
THERE: Addresses = [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.2")]


@dataclass
class Dns:
    """Answers from a table; a name that isn't there hangs until `released`."""

    table: dict[str, Addresses | OSError] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    lookups_started: list[str] = field(default_factory=list)

    def look_up(self, host: str, _: socket.AddressFamily) -> Addresses:
        self.lookups_started.append(host)
        if host not in self.table:
            self.released.wait()
        answer = self.table[host]
        if isinstance(answer, OSError):
            raise answer
        return answer


@pytest.fixture
async def dns() -> AsyncIterator[Dns]:
    dns = Dns()
    yield dns
    dns.table |= dict.fromkeys(dns.lookups_started, HERE)
    dns.released.set()


async def addresses(resolver: Resolver, host: str) -> list[str]:
    return [found["host"] for found in await resolver.resolve(host, 443)]


async def test_a_lookup_does_not_wait_for_hanging_ones(dns: Dns) -> None:
    dns.table["here"] = HERE
    resolver = Resolver(dns.look_up)
    hanging = [asyncio.ensure_future(resolver.resolve(f"hole{number}")) for number in range(20)]
    await eventually(lambda: len(dns.lookups_started) == 20)
    assert await addresses(resolver, "here") == ["127.0.0.1"]
    assert not any(each.done() for each in hanging)
    for each in hanging:
        each.cancel()


async def test_addresses_keep_the_systems_order(dns: Dns) -> None:
    dns.table["there"] = THERE
    first, second = await Resolver(dns.look_up).resolve("there", 443)
    assert (first["hostname"], first["host"], first["port"], first["family"]) == (
        *("there", "::1"),
        *(443, socket.AF_INET6),
    )
    assert second["host"] == "127.0.0.2"


async def test_concurrent_lookups_of_a_name_share_a_thread(dns: Dns) -> None:
    resolver = Resolver(dns.look_up)
    lookups = [asyncio.ensure_future(resolver.resolve("hole")) for _ in range(5)]
    await eventually(lambda: dns.lookups_started)
    lookups[0].cancel()
    late = asyncio.ensure_future(resolver.resolve("hole"))
    await asyncio.sleep(0)
    dns.table["hole"] = HERE
    dns.released.set()
    answers = await asyncio.gather(*lookups, late, return_exceptions=True)
    assert dns.lookups_started == ["hole"]
    assert isinstance(answers[0], asyncio.CancelledError)
    assert not any(isinstance(each, BaseException) for each in answers[1:])


DOWN = socket.gaierror(socket.EAI_AGAIN, "down")


@pytest.mark.parametrize("fault", [DOWN, OSError("down")])
async def test_known_addresses_are_used_when_a_lookup_fails(dns: Dns, fault: OSError) -> None:
    dns.table["there"] = THERE
    resolver = Resolver(dns.look_up)
    await resolver.resolve("there")
    dns.table["there"] = fault
    assert await addresses(resolver, "there") == ["::1", "127.0.0.2"]
    with pytest.raises(OSError, match="down"):
        await Resolver(dns.look_up).resolve("there")


async def test_known_addresses_are_used_while_a_lookup_hangs(dns: Dns) -> None:
    dns.table["there"] = THERE
    resolver = Resolver(dns.look_up, timeout=0.05)
    await resolver.resolve("there")
    del dns.table["there"]
    assert await addresses(resolver, "there") == ["::1", "127.0.0.2"]
    assert await addresses(resolver, "there") == ["::1", "127.0.0.2"]  # at once: the timeout has passed
    assert len(dns.lookups_started) == 2
    dns.table["there"] = HERE
    dns.released.set()
    await eventually(lambda: not resolver._lookups)
    dns.table["there"] = DOWN
    assert await addresses(resolver, "there") == ["127.0.0.1"]


async def test_known_addresses_expire(dns: Dns) -> None:
    dns.table["there"] = THERE
    resolver = Resolver(dns.look_up, ttl=0.0)
    await resolver.resolve("there")
    dns.table["there"] = DOWN
    with pytest.raises(socket.gaierror):
        await resolver.resolve("there")


async def test_new_addresses_replace_known_ones(dns: Dns) -> None:
    dns.table["there"] = THERE
    resolver = Resolver(dns.look_up)
    await resolver.resolve("there")
    dns.table["there"] = HERE
    assert await addresses(resolver, "there") == ["127.0.0.1"]


async def test_close_does_not_wait_for_lookups(dns: Dns) -> None:
    resolver = Resolver(dns.look_up)
    lookups = asyncio.ensure_future(resolver.resolve("hole"))
    await eventually(lambda: dns.lookups_started)
    await resolver.close()
    with pytest.raises(asyncio.CancelledError):
        await lookups


async def test_a_thread_that_cannot_start_is_an_error(dns: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        await Resolver(dns.look_up).resolve("here")


def test_the_system_resolves_localhost() -> None:
    assert "127.0.0.1" in [address for _, address in system_lookup("localhost", socket.AF_UNSPEC)]


@pytest.mark.parametrize("name", ["-.invalid", "a" * 64 + ".invalid", "a..invalid"])
def test_an_invalid_name_is_an_error(name: str) -> None:
    with pytest.raises(socket.gaierror):
        system_lookup(name, socket.AF_UNSPEC)
