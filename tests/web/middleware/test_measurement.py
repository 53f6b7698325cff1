"""Requests are counted by the template of their route, whatever clients send."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from btc_price_tracker.web.middleware.measurement import DISCONNECTED, Measurement, Requests

TEMPLATES = {
    "/prices": "/prices",
    "/prices/latest": "/prices/latest",
    "/prices/stream": "/prices/stream",
    "/prices/{id}": "/prices/{id}",
    "/prices/hours/{hour}": "/prices/hours/{hour}",
    "/page/0011223344556677/{name:path}": "/page/{name}",
}


async def nothing(*_: Any) -> Any:
    """Receive or send nothing."""


async def respond(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body"})


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/prices", "/prices"),
        ("/prices/latest", "/prices/latest"),
        ("/prices/1764000000123", "/prices/{id}"),
        ("/prices/x/y", "other"),
        ("/prices/hours/2026-11-27T04", "/prices/hours/{hour}"),
        ("/page/0011223344556677/a/b.js", "/page/{name}"),
        ("/page/ffff/a/b.js", "other"),
        ("/prices\n", "other"),
        ("", "other"),
        ("/../" * 1000, "other"),
    ],
)
def test_route_is_a_template_or_other(path: str, route: str) -> None:
    assert Measurement(respond, Requests(), TEMPLATES).route(path) == route


async def test_series_do_not_grow_with_paths() -> None:
    requests = Requests()
    measurement = Measurement(respond, requests, TEMPLATES)
    for number in range(1000):
        for path in (f"/{number}", f"/prices/{number}", f"/page/0011223344556677/{number}"):
            await measurement({"path": path}, nothing, nothing)
    assert requests.by_status == dict.fromkeys(
        [("other", "200"), ("/prices/{id}", "200"), ("/page/{name}", "200")], 1000
    )
    assert set(requests.seconds) == {"other", "/prices/{id}", "/page/{name}"}
    assert requests.in_progress == 0


@pytest.mark.parametrize(("path", "in_progress"), [("/prices/stream", 0), ("/prices", 1)])
async def test_stream_ends_with_its_head(path: str, in_progress: int) -> None:
    requests, ended = Requests(), asyncio.Event()

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        await ended.wait()

    task = asyncio.create_task(Measurement(app, requests, TEMPLATES)({"path": path}, nothing, nothing))
    await asyncio.sleep(0)
    assert (requests.in_progress, requests.by_status[path, "200"]) == (in_progress, 1 - in_progress)
    ended.set()
    await task
    assert (requests.in_progress, requests.by_status[path, "200"]) == (0, 1)


async def test_client_that_leaves_before_the_head_is_counted_as_disconnected() -> None:
    requests = Requests()
    task = asyncio.create_task(
        Measurement(nothing_ever, requests, TEMPLATES)({"path": "/"}, nothing, nothing)
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert requests.by_status == {("other", DISCONNECTED): 1}
    assert requests.in_progress == 0


async def nothing_ever(*_: Any) -> None:
    await asyncio.Event().wait()
