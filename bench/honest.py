"""Honest clients: many streams and a few requests a second. A process of its own.

    python bench/honest.py PORT STREAMS

An empty JSON object on a line once all streams are open. Then each line on stdin is answered with the figures since the
one before: lags of prices and times of requests in ms, how many streams have ended, and how many missed a price.
"""

import http.client
import json
import os
import re
import select
import socket
import sys
import threading
import time

PER_ADDRESS = 40  # streams: within the default limits
IDS = re.compile(rb"^id: (\d+)$", re.MULTILINE)
QUIET = 0.2  # seconds in which nothing comes: we are between two prices
LONGEST = 3.0  # seconds until we are
PAUSE = 0.05  # seconds between requests
REQUEST = b"GET /prices/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


class Honest:
    def __init__(self, port: int) -> None:
        self.port = port
        self.epoll = select.epoll()
        self.counts: dict[int, int] = {}  # prices of each stream
        self.lags: list[float] = []
        self.times: list[float] = []
        self.failed = 0  # requests
        self.lost = 0  # streams

    def open(self, streams: int) -> None:
        """Open them one after the other; each has begun once its response has."""
        for number in range(streams):
            client = socket.socket()
            client.bind((f"127.0.1.{1 + number // PER_ADDRESS}", 0))
            client.connect(("127.0.0.1", self.port))
            client.sendall(REQUEST)
            status = client.recv(65536)
            if not status.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(status.decode(errors="replace"))
            client.setblocking(False)
            fd = client.detach()
            self.epoll.register(fd, select.EPOLLIN)
            self.counts[fd] = 0

    def follow(self) -> None:
        """Read the streams, and answer stdin, until that ends."""
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        while True:
            for fd, _ in self.epoll.poll():
                if fd != sys.stdin.fileno():
                    self.read(fd)
                elif sys.stdin.readline():
                    self.settle()
                    self.report()
                else:
                    return

    def settle(self) -> None:
        """Read what is on its way, and end between two prices."""
        until = time.monotonic() + LONGEST
        while time.monotonic() < until and (ready := self.epoll.poll(QUIET)):
            for fd, _ in ready:
                self.read(fd)

    def read(self, fd: int) -> None:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            self.lost += 1
            self.epoll.unregister(fd)
            os.close(fd)
        now = time.time() * 1000
        for tick_id in IDS.findall(data):
            self.counts[fd] += 1
            self.lags.append(now - int(tick_id))

    def report(self) -> None:
        lags, times = sorted(self.lags), sorted(self.times)
        most = max(self.counts.values())
        say(
            {
                "prices": len(lags),
                "lag_p50": quantile(lags, 0.5),
                "lag_p99": quantile(lags, 0.99),
                "lag_max": quantile(lags, 1),
                "requests": len(times),
                "request_p99": quantile(times, 0.99),
                "failed": self.failed,
                "lost": self.lost,
                "incomplete": sum(count < most for count in self.counts.values()),
            }
        )
        self.lags, self.times, self.failed = [], [], 0
        self.counts = dict.fromkeys(self.counts, 0)

    def ask(self) -> None:
        """Request the latest price again and again, on a connection that is kept."""
        source = ("127.0.3.1", 0)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=source)
        while True:
            started = time.monotonic()
            try:
                connection.request("GET", "/prices/latest")
                response = connection.getresponse()
                response.read()
                self.failed += response.status != 200
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()
            self.times.append((time.monotonic() - started) * 1000)
            time.sleep(PAUSE)


def quantile(values: list[float], share: float) -> float:
    """The value below which this share of the sorted values is; NaN if there are none."""
    return round(values[min(int(len(values) * share), len(values) - 1)], 1) if values else float("nan")


def say(line: dict[str, float]) -> None:
    print(json.dumps(line), flush=True)


def main(port: int, streams: int) -> None:
    honest = Honest(port)
    honest.open(streams)
    threading.Thread(target=honest.ask, daemon=True).start()
    say({})
    honest.follow()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
