"""The load: opens event streams, then tells of every broadcast. A process of its own, on a CPU of its own.

    python bench/load.py PORT STREAMS PATH [tls]

An empty JSON object on a line once all are open; then a line as soon as a price has come to every stream:
`{"events": N, "spread": MS, "lost": N}`, with the time from the first client's to the last one's, and how many streams
have ended so far. It runs until it is ended.
"""

import json
import os
import select
import socket
import ssl
import sys
import time

WINDOW = 512  # unanswered requests at most: the server's backlog (4096) must not decide how fast it looks
QUIET = 0.2  # seconds in which nothing comes: we are between two broadcasts
LONGEST = 3.0  # seconds that a price may keep us waiting; a server at its limit is never quiet
PER_ADDRESS = 20_000  # streams per source address: it has about 28,000 ports
BIND_ADDRESS_NO_PORT = 24  # of <linux/in.h>; choose the port when the destination is known


def connect(port: int, number: int, request: bytes) -> int:
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
    client.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
    client.connect(("127.0.0.1", port))
    client.sendall(request)
    client.setblocking(False)
    return client.detach()


class Load:
    def __init__(self, tls: bool) -> None:  # noqa: FBT001 - of the command line
        self.epoll = select.epoll()
        self.lost = 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if tls else None
        self.encrypted: dict[int, ssl.SSLSocket] = {}
        if self.tls:
            self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE

    def connect(self, port: int, number: int, request: bytes) -> int:
        fd = connect(port, number, b"" if self.tls else request)
        if self.tls:
            client = socket.socket(fileno=fd)
            client.setblocking(True)
            self.encrypted[fd] = encrypted = self.tls.wrap_socket(client)
            encrypted.sendall(request)
            encrypted.setblocking(False)
            fd = encrypted.fileno()
        return fd

    def open(self, port: int, count: int, path: str) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode()
        unanswered: set[int] = set()
        opened = 0
        while opened < count or unanswered:
            while opened < count and len(unanswered) < WINDOW:
                fd = self.connect(port, opened, request)
                self.epoll.register(fd, select.EPOLLIN)
                unanswered.add(fd)
                opened += 1
            for fd, _ in self.epoll.poll():
                prices = self.read(fd)
                if prices or not self.tls:
                    unanswered.discard(fd)

    def read(self, fd: int) -> int:
        """How many prices came."""
        try:
            data = self.encrypted[fd].recv(16384) if self.tls else os.read(fd, 16384)
        except ssl.SSLWantReadError:  # a part of a record, or a session ticket
            return 0
        except OSError:
            data = b""
        if not data:
            self.lost += 1
            self.epoll.unregister(fd)
            os.close(fd)
        return data.count(b'"price":')

    def settle(self) -> None:
        """Read what still comes from the opening, and end between two broadcasts."""
        until = time.monotonic() + LONGEST
        while time.monotonic() < until and (ready := self.epoll.poll(QUIET)):
            for fd, _ in ready:
                self.read(fd)

    def broadcast(self, count: int) -> dict[str, float]:
        """Wait until a price has come to every stream."""
        events, first, last = 0, 0.0, 0.0
        while events < count - self.lost and (ready := self.epoll.poll(LONGEST)):
            for fd, _ in ready:
                events += self.read(fd)
            if events:
                last = time.monotonic()
                first = first or last
        return {"events": events, "spread": (last - first) * 1000, "lost": self.lost}


def say(line: dict[str, float]) -> None:
    print(json.dumps(line), flush=True)


def main(port: int, count: int, path: str, *, tls: bool) -> None:
    load = Load(tls)
    load.open(port, count, path)
    say({})
    load.settle()
    while True:
        say(load.broadcast(count))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], tls="tls" in sys.argv[4:])
