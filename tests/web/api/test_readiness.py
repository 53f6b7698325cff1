"""The checks of /readyz, each with its status and age."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from btc_price_tracker.settings.open_files import open_files
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.api import readiness
from btc_price_tracker.web.api.readiness import CANARY_MARGIN
from live import Client, Live, live

HEARTBEAT = 15


@asynccontextmanager
async def watched(server: Live) -> AsyncIterator[None]:
    """With the canary, as `serve` has it."""
    watching = asyncio.create_task(server.service.canary.watch())
    await eventually(lambda: server.service.canary.age is not None)
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def readyz(server: Live) -> dict[str, Any]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        response = await client.get(f"{server.url}/readyz")
    document: dict[str, Any] = response.json()
    assert (response.status_code == 200) is document["ready"]
    return document


async def test_every_check_has_a_status_and_an_age() -> None:
    clock = ManualClock()
    async with live(clock) as server, watched(server):
        await server.publish()
        await eventually(lambda: server.service.canary.age == 0)
        await clock.advance(7)
        document = await readyz(server)
        checks = document["checks"]
        assert document["ready"] is True
        assert {name: (check["status"], check["reason"]) for name, check in checks.items()} == dict.fromkeys(
            ("price", "store", "broker", "canary", "descriptors"), ("ok", None)
        )
        assert [checks[name]["age"] for name in ("price", "store", "broker", "canary")] == [7, 7, 7, 7]
        descriptors = checks["descriptors"]
        assert descriptors["age"] == 0
        assert 10 < descriptors["open"] < descriptors["limit"]


@pytest.mark.parametrize("detach", [True, False])
async def test_canary_that_gets_nothing_is_a_reason(monkeypatch: pytest.MonkeyPatch, *, detach: bool) -> None:
    clock = ManualClock()
    async with live(clock, detach=detach) as server, watched(server):
        await server.publish()
        for _ in range(4):  # heartbeats reach it
            await clock.advance(HEARTBEAT)
            await eventually(lambda: server.service.canary.silence < HEARTBEAT)
        await server.publish()
        assert (await readyz(server))["ready"] is True
        monkeypatch.setattr(server.hub, "_write_slice", lambda _: None)  # a fan-out that is stuck
        await server.publish()
        await clock.advance(HEARTBEAT + CANARY_MARGIN + 1)
        document = await readyz(server)
        assert document["reasons"] == ["no event reached this instance's own stream for 20 s"]
        assert document["checks"]["canary"]["status"] == "failing"
        assert document["checks"]["canary"]["age"] > HEARTBEAT + CANARY_MARGIN


async def test_canary_comes_back_after_its_stream_was_closed() -> None:
    clock = ManualClock()
    async with live(clock) as server, watched(server):
        canary = server.service.canary
        for stream in server.hub.streams:
            server.hub.leave(stream)
        await eventually(lambda: not canary.is_open)
        await clock.advance(1)
        await eventually(lambda: canary.is_open and len(server.hub) == 1)
        assert canary.opened == 2


async def test_canary_without_descriptors_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> None:
        raise OSError("too many open files")

    clock = ManualClock()
    async with live(clock) as server:
        canary = server.service.canary
        monkeypatch.setattr("socket.socketpair", none_left)
        watching = asyncio.create_task(canary.watch())
        await clock.advance(60)
        assert (canary.age, canary.silence, canary.opened) == (None, 60, 61)
        watching.cancel()


async def test_canary_ends_with_the_drain() -> None:
    clock = ManualClock()
    async with live(clock) as server:
        watching = asyncio.create_task(server.service.canary.watch())
        await eventually(lambda: server.service.canary.is_open)
        await server.hub.drain(0)
        await eventually(lambda: not server.service.canary.is_open)
        await clock.advance(1)
        await watching
        assert (await readyz(server))["reasons"][0] == "shutting down"


async def test_canary_is_no_client_for_the_metrics_or_the_limit() -> None:
    async with (
        live(max_clients=1) as server,
        watched(server),
        await Client.get(server.port, "/prices/stream") as client,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        assert client.status == 200
        await eventually(lambda: len(server.hub) == 2)
        metrics = (await http.get(f"{server.url}/metrics")).text
    assert "btc_streams_open 1.0" in metrics
    assert "btc_streams_opened_total 1.0" in metrics


async def test_few_descriptors_are_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "file_limit", lambda: (open_files() or 0) + 1)
    async with live() as server:
        await server.publish()
        document = await readyz(server)
    (reason,) = document["reasons"]
    assert "file descriptors are left; raise the limit of open files" in reason
    assert document["checks"]["descriptors"]["status"] == "failing"
