"""Name resolution that keeps lookups apart: one without a response delays no other.

The event loop would use libuv's threads, of which two at a time resolve names. Here each lookup has its own thread, at
most one for a name; names come from the settings, so they are few. The lookup is the system's, so /etc/hosts,
nsswitch.conf and search domains apply: docs/decisions/name-resolution.md.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import NamedTuple

from aiohttp.abc import AbstractResolver, ResolveResult

LOOKUP_TIMEOUT = 0.5  # seconds, if addresses from an earlier lookup are known
ADDRESS_TTL = 86_400.0  # seconds that addresses are used while lookups fail

Addresses = Sequence[tuple[socket.AddressFamily, str]]
LookUp = Callable[[str, socket.AddressFamily], Addresses]  # blocking; raises OSError


class _Lookup(NamedTuple):
    """A lookup in progress."""

    future: asyncio.Future[Addresses]
    started: float  # by the event loop's clock


class _Known(NamedTuple):
    """The addresses of a name from its last lookup."""

    addresses: Addresses
    at: float  # by the event loop's clock


def system_lookup(host: str, family: socket.AddressFamily) -> Addresses:
    """Return the addresses of a name from the system's resolver. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError:  # not a valid name
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no name") from None
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV  # with the interface of a link-local address
    return [(found_family, socket.getnameinfo(address, numeric)[0]) for found_family, *_, address in found]


class Resolver(AbstractResolver):
    """Looks names up in threads; while that fails or takes long, returns the last known addresses."""

    def __init__(
        self, look_up: LookUp = system_lookup, *, timeout: float = LOOKUP_TIMEOUT, ttl: float = ADDRESS_TTL
    ) -> None:
        """`timeout` and `ttl` in seconds. Needs a running event loop."""
        self._look_up = look_up
        self._timeout = timeout
        self._ttl = ttl
        self._loop = asyncio.get_running_loop()
        self._lookups: dict[str, _Lookup] = {}
        self._known: dict[str, _Known] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError if there are none, and none are known."""
        found = await self._addresses(host, family)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=found_family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, address in found
        ]

    async def close(self) -> None:
        """Stop waiting for lookups; their threads end with the system's own timeout."""
        for lookup in self._lookups.values():
            lookup.future.cancel()

    async def _addresses(self, host: str, family: socket.AddressFamily) -> Addresses:
        lookup = self._lookups.get(host) or self._start(host, family)
        known = self._known.get(host)
        if known is None or self._loop.time() - known.at > self._ttl:
            return await asyncio.shield(lookup.future)
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout_at(lookup.started + self._timeout):
                return await asyncio.shield(lookup.future)
        return known.addresses

    def _start(self, host: str, family: socket.AddressFamily) -> _Lookup:
        future = asyncio.wrap_future(_in_thread(partial(self._look_up, host, family)))
        lookup = self._lookups[host] = _Lookup(future, self._loop.time())
        future.add_done_callback(partial(self._conclude, host))
        return lookup

    def _conclude(self, host: str, future: asyncio.Future[Addresses]) -> None:
        del self._lookups[host]
        if not future.cancelled() and future.exception() is None:
            self._known[host] = _Known(future.result(), self._loop.time())


def _in_thread(work: Callable[[], Addresses]) -> Future[Addresses]:
    """Run it in a daemon thread: unlike an executor's, the process doesn't wait for it at exit."""
    future: Future[Addresses] = Future()
    future.set_running_or_notify_cancel()
    try:
        Thread(target=_run, args=(work, future), daemon=True).start()
    except RuntimeError as error:  # a limit of the system
        future.set_exception(OSError(errno.EAGAIN, str(error)))
    return future


def _run(work: Callable[[], Addresses], future: Future[Addresses]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
        future.set_exception(error)
