"""Thousands of clients that come back at once, each a while behind."""

import os
import select
import time
from typing import NamedTuple

from load import connect

PATIENCE = 60.0  # seconds


class Resumed(NamedTuple):
    """What became of them."""

    seconds: float  # from the first connect until the last has caught up
    complete: int  # clients that got every price they had missed, in order, once


def resume(port: int, clients: int, missed: list[int]) -> Resumed:
    """Connect all of them, each with the id before the first it missed, and read until each has the last."""
    request = f"GET /prices/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {missed[0] - 1}\r\n\r\n"
    last = f"\nid: {missed[-1]}\n".encode()
    begun = time.monotonic()
    got = _open(port, clients, request.encode())
    seconds = _read(got, last) - begun
    return Resumed(seconds, sum(_has_all(b"".join(parts), missed) for parts in got.values()))


def _open(port: int, clients: int, request: bytes) -> dict[int, list[bytes]]:
    return {connect(port, number, request): [] for number in range(clients)}


def _read(got: dict[int, list[bytes]], last: bytes) -> float:
    """Read until everybody has the last price; when that was."""
    behind = set(got)
    poll = select.epoll()
    for fd in got:
        poll.register(fd, select.EPOLLIN)
    until = time.monotonic() + PATIENCE
    while behind and time.monotonic() < until:
        for fd, _ in poll.poll(1):
            parts = got[fd]
            parts.append(os.read(fd, 262_144))
            if not parts[-1] or last in parts[-1] or last in b"".join(parts[-2:]):
                behind.discard(fd)
                poll.unregister(fd)
    ended = time.monotonic()
    for fd in got:
        os.close(fd)
    return ended


def _has_all(stream: bytes, missed: list[int]) -> bool:
    """Every missed price in order, then whatever was published meanwhile, and none twice."""
    ids = [int(line[4:]) for line in stream.split(b"\n") if line.startswith(b"id: ")]
    return ids[: len(missed)] == missed and ids == sorted(set(ids))
