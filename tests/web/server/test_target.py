"""The host of a target in absolute form replaces that of the Host field: RFC 9112, 3.2.2."""

import asyncio
from typing import Any

import pytest

from btc_price_tracker.web.address.trusted import Trusted
from btc_price_tracker.web.server.server import listen, server
from btc_price_tracker.web.server.sockets import Peers
from live import Client


async def echo(scope: Any, _: Any, send: Any) -> None:
    """Respond with the host, path and query of the request as an application sees them."""
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    body = b" ".join([*hosts, scope["path"].encode(), scope["query_string"]])
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("/a?b=c", "localhost /a b=c"),
        ("http://other:80/a?b=c", "other:80 /a b=c"),
        ("HTTPS://other?b=c", "other / b=c"),
        ("http://[::1]", "[::1] / "),
    ],
)
async def test_application_sees_the_host_of_the_target(target: str, seen: str) -> None:
    (listener,) = listen("127.0.0.1", 0)
    serving = server(echo, 75, lambda: 0, Peers(Trusted(())))
    ended = asyncio.create_task(serving.serve(sockets=[listener]))
    async with await Client.get(listener.getsockname()[1], target) as client:
        assert (await client.body()).decode() == seen
    serving.stop()
    await ended
