"""How long a server takes to answer over HTTP on loopback, one request at a time."""

import http.client
import socket
import time
from statistics import median
from typing import NamedTuple

from machine import Process


class Answer(NamedTuple):
    """Medians of many requests."""

    milliseconds: float  # until the whole answer is here
    cpu: float  # ms of the server's CPU time, on average
    size: int  # bytes of the body


def answers(server: Process, port: int, path: str, times: int) -> Answer:
    """Ask again and again on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    _get(connection, path)  # the first one finds cold caches
    before = server.cpu()
    waits, size = [], 0
    for _ in range(times):
        begun = time.perf_counter()
        size = _get(connection, path)
        waits.append(time.perf_counter() - begun)
    cpu = server.cpu().since(before)
    connection.close()
    return Answer(median(waits) * 1000, cpu.total / times * 1000, size)


def first_price(port: int, path: str, times: int) -> float:
    """Milliseconds (median) from connecting to the first price of a stream."""
    return median(_first_price(port, path) for _ in range(times)) * 1000


def _get(connection: http.client.HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    return len(body)


def _first_price(port: int, path: str) -> float:
    begun = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while b"\nid: " not in answer:
            answer += client.recv(65536)
        return time.perf_counter() - begun


def until_ready(port: int) -> None:
    """Wait until the server answers with a price."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            _get(connection, "/readyz")
        except (OSError, RuntimeError):
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError("the server is not ready")
