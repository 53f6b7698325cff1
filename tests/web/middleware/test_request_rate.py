"""The rate limit of requests per address, as clients see it."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from structlog.testing import capture_logs

from btc_price_tracker.testing import ManualClock
from live import Live, live


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def server(clock: ManualClock) -> AsyncIterator[Live]:
    async with live(clock, request_rate_per_ip=3) as server:
        await server.publish()
        yield server


@pytest.fixture
async def client(server: Live) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        yield client


async def test_beyond_the_rate_requests_get_429(client: httpx2.AsyncClient, clock: ManualClock) -> None:
    for remaining in (2, 1, 0):
        response = await client.get("/prices/latest")
        assert response.status_code == 200
        assert response.headers["ratelimit-policy"] == '"address";q=3;w=1'
        assert response.headers["ratelimit"] == f'"address";r={remaining};t=1'
    for path in ("/prices/latest", "/", "/nowhere", "/prices/next?after=0"):
        response = await client.get(path, headers={"Origin": "https://example.com"})
        assert response.status_code == 429
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["retry-after"] == "1"
        assert response.headers["ratelimit"] == '"address";r=0;t=1'
        assert response.headers["access-control-allow-origin"] == "*"
        assert "RateLimit" in response.headers["access-control-expose-headers"]
        assert response.headers["x-request-id"]
    await clock.advance(1)
    assert (await client.get("/prices/latest")).status_code == 200


@pytest.mark.parametrize("token", ["wrong", None, "right"])
async def test_requests_that_open_no_stream_count(clock: ManualClock, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        live(clock, request_rate_per_ip=3, access_tokens="right") as server,
        httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client,
    ):
        expected = 400 if token == "right" else 401
        for status in (expected, expected, expected, 429):
            response = await client.get("/prices/stream?bogus=1", headers=headers)
            assert response.status_code == status
            assert "ratelimit" in response.headers


async def test_other_addresses_are_not_affected(client: httpx2.AsyncClient) -> None:
    requests = [("192.0.2.1", 200)] * 3 + [("192.0.2.1", 429), ("192.0.2.2", 200), ("2001:db8::1", 200)]
    for address, status in requests:
        response = await client.get("/prices/latest", headers={"X-Forwarded-For": address})
        assert response.status_code == status


async def test_probes_streams_and_preflights_are_exempt(client: httpx2.AsyncClient) -> None:
    for _ in range(5):
        for path in ("/healthz", "/metrics"):
            response = await client.get(path)
            assert response.status_code == 200
            assert "ratelimit" not in response.headers
        preflight = {"Origin": "https://example.com", "Access-Control-Request-Method": "GET"}
        assert (await client.options("/prices", headers=preflight)).status_code == 200
        assert (await client.head("/prices/stream")).status_code == 200
    assert (await client.get("/prices/latest")).headers["ratelimit"] == '"address";r=2;t=1'


async def test_rejections_are_counted_and_logged_once(client: httpx2.AsyncClient) -> None:
    with capture_logs() as lines:
        for _ in range(10):
            await client.get("/prices/latest")
    assert [(line["event"], line["log_level"]) for line in lines] == [("requests rejected", "warning")]
    metrics = (await client.get("/metrics")).text
    assert "btc_http_requests_rejected_total 7.0" in metrics


async def test_without_a_limit_there_are_no_headers() -> None:
    async with (
        live(request_rate_per_ip=0) as server,
        httpx2.AsyncClient(base_url=server.url, trust_env=False) as client,
    ):
        responses = [await client.get("/prices/next?after=x") for _ in range(50)]
    assert {response.status_code for response in responses} == {400}
    assert "ratelimit" not in responses[0].headers
