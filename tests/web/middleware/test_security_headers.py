"""What a browser may do with each kind of response."""

import pytest

from btc_price_tracker.web.site import folder
from live import Client, live

API_POLICY = "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_documents_run_only_what_is_ours_and_are_framed_by_nobody(path: str) -> None:
    async with live() as server, await Client.get(server.port, path) as client:
        policy = client.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert "unsafe" not in client.headers["content-security-policy"]
        assert client.headers["x-content-type-options"] == "nosniff"
        assert client.headers["referrer-policy"] == "no-referrer"
        assert client.headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in client.headers["permissions-policy"]
        assert "clipboard" not in client.headers["permissions-policy"]  # the page copies with it


@pytest.mark.parametrize(
    "path",
    [
        "/prices/latest",
        "/prices",
        "/prices?format=csv",
        "/prices/candles?interval=1m",
        "/sources",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/nothing",
        "/prices?limit=x",
        "/prices/stream?since=x",
    ],
)
async def test_answers_of_the_api_load_nothing(path: str) -> None:
    async with live() as server:
        await server.publish()
        async with await Client.get(server.port, path) as client:
            assert client.headers["content-security-policy"] == API_POLICY
            assert client.headers["x-content-type-options"] == "nosniff"


async def test_rejected_requests_have_the_same() -> None:
    async with live() as server, await Client.get(server.port, "/healthz", method="CONNECT") as client:
        assert client.status >= 400
        assert client.headers["content-security-policy"] == API_POLICY


async def test_scripts_keep_the_policy_that_their_workers_need() -> None:
    path = f"/{folder()[0]}/shared-stream-worker.js"
    async with live() as server, await Client.get(server.port, path) as client:
        assert "connect-src 'self'" in client.headers["content-security-policy"]


@pytest.mark.parametrize("detach", [True, False])
async def test_head_of_a_stream_is_small(detach: bool) -> None:  # noqa: FBT001 - both paths
    async with live(detach=detach) as server, await Client.get(server.port, "/prices/stream") as client:
        assert client.headers.keys() == {
            "cache-control",
            "content-type",
            "date",
            "transfer-encoding",
            "x-accel-buffering",
            "x-content-type-options",
            "x-request-id",
        }
