"""A server and clients in one network namespace, whose cable is cut: run by test_dead_peers.py under `unshare --net`.

The clients that vanish are in a second namespace at the other end of a virtual cable; the honest one is on loopback.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

from btc_price_tracker.telemetry import logs
from btc_price_tracker.testing import eventually
from btc_price_tracker.web.server import server as server_module
from live import Client, live

UNREACHABLE = 3  # seconds, in place of 30
CLIENTS = 5  # of each kind
SERVER, PEER = "10.77.0.1", "10.77.0.2"
CLIENT = """
import socket, sys, time
print("in a namespace of its own", flush=True)
sys.stdin.readline()
socks = []
for asked in sys.argv[2:]:
    sock = socket.create_connection(("10.77.0.1", int(sys.argv[1])))
    sock.sendall(asked.encode().decode("unicode_escape").encode())
    socks.append(sock)
print("connected", flush=True)
time.sleep(600)
"""
STREAM = r"GET /prices/stream HTTP/1.1\r\nHost: x\r\n\r\n"
HALF = r"GET / HTTP/1.1\r\n"
LARGE = r"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 30


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def far_away(port: int) -> Iterator[None]:
    """Clients at the other end of a cable: a third follow the stream, a third read nothing, a third say half a head."""
    command = [
        "unshare",
        "--net",
        sys.executable,
        "-c",
        CLIENT,
        str(port),
    ]
    asked = [STREAM, HALF, LARGE] * CLIENTS
    with subprocess.Popen(
        [*command, *asked], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as clients:
        assert clients.stdin is not None
        assert clients.stdout is not None
        try:
            clients.stdout.readline()
            ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(clients.pid))
            ip("address", "add", f"{SERVER}/24", "dev", "near")
            ip("link", "set", "near", "up")
            inside = ["nsenter", "--net", f"--target={clients.pid}", "ip"]
            subprocess.run([*inside, "address", "add", f"{PEER}/24", "dev", "far"], check=True)
            subprocess.run([*inside, "link", "set", "far", "up"], check=True)
            clients.stdin.write("\n")
            clients.stdin.flush()
            yield
        finally:
            clients.kill()


async def main() -> None:
    server_module.UNREACHABLE = UNREACHABLE
    ip("link", "set", "lo", "up")
    async with live(host="0.0.0.0") as server:
        await server.publish()
        async with await Client.get(server.port, "/prices/stream") as honest:
            await honest.prices(1)
            with far_away(server.port):
                connections = server.server.server_state.connections
                await eventually(lambda: len(server.hub) == CLIENTS + 1 and len(connections) == 2 * CLIENTS)
                # A wrong address on the cable: nothing arrives, and nothing says so.
                ip("neighbour", "replace", PEER, "lladdr", "02:00:00:00:00:99", "dev", "near")
                say("vanished")
                published = []
                async with asyncio.timeout(60):
                    while len(server.hub) > 1 or connections:
                        published.append(await server.publish())
                        await asyncio.sleep(0.2)
                say("forgotten")
            assert await honest.prices(len(published)) == published
            say("unharmed")


if __name__ == "__main__":
    logs.configure("error", "json")
    uvloop.run(main())
