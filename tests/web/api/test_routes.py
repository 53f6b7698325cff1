"""The routes besides the stream and history, over real HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from btc_price_tracker import __version__
from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Status
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.api import prices
from btc_price_tracker.web.site import folder
from btc_price_tracker.web.stream import route
from live import Live, live

ORIGIN = "https://example.com"
MAIN_JS = f"/{folder()[0]}/main.js"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def server(clock: ManualClock) -> AsyncIterator[Live]:
    async with live(clock) as server:
        yield server


@pytest.fixture
async def client(server: Live) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(server) as client:
        yield client


@asynccontextmanager
async def client_of(server: Live) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        yield client


def check_problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    """RFC 9457, the id of the request, and nothing to be cached."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    assert response.headers["cache-control"] == "no-store"
    problem: dict[str, Any] = response.json()
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    return problem


async def test_the_latest_price_is_exact_fresh_and_not_to_be_cached(
    server: Live, client: httpx2.AsyncClient
) -> None:
    await server.publish("69420.00")
    current = await server.publish("69420.10")
    response = await client.get("/prices/latest")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert '"price":69420.10,' in response.text
    price = response.json()
    assert (price["id"], price["timestamp"]) == (current, current // 1000)
    assert (price["status"], price["sources"], price["spread"]) == ("ok", 3, 3.10)


async def test_before_the_first_price_there_is_503_and_when_to_come_back(client: httpx2.AsyncClient) -> None:
    response = await client.get("/prices/latest")
    assert "No price yet" in check_problem(response, 503)["detail"]
    assert response.headers["retry-after"] == "10"


async def test_a_price_that_nothing_fresh_follows_turns_stale_and_ages(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock
) -> None:
    await server.publish()
    await server.announce(Status.STALE, "Nobody answers.")
    await clock.advance(42)
    price = (await client.get("/prices/latest")).json()
    assert (price["status"], price["age"]) == ("stale", 42)


async def test_sources_shows_every_source_and_says_that_prices_are_live(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/sources")).json()
    assert (document["recorded"], document["origin"]) == (False, None)
    assert (document["status"], document["price"]) == ("stale", None)
    names = [source["name"] for source in document["sources"]]
    assert names == ["coingecko", "coinpaprika", "coinbase", "kraken", "bitstamp", "gemini"]


async def test_healthz_says_that_the_process_lives_whatever_else_fails(
    server: Live, client: httpx2.AsyncClient
) -> None:
    server.service.outbox.fault = "disk full"
    response = await client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"alive": True, "version": __version__, "lag_ms": 0}


async def test_healthz_fails_briefly_after_a_stall(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watchdog, "recovering", True)
    monkeypatch.setattr(Watchdog, "lag", 11.7)
    response = await client.get("/healthz")
    assert response.status_code == 503
    assert response.json() == {"alive": False, "version": __version__, "lag_ms": 11_700}


async def ready(client: httpx2.AsyncClient) -> list[str]:
    """Why not."""
    response = await client.get("/readyz")
    document = response.json()
    reasons: list[str] = document["reasons"]
    assert document["ready"] == (not reasons)
    assert response.status_code == (503 if reasons else 200)
    assert response.headers["content-type"] == "application/json"
    return reasons


async def test_readyz_gives_every_reason_and_recovers_from_it(
    server: Live, client: httpx2.AsyncClient, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await ready(client) == ["No price yet: the sources are being polled."]
    await server.publish()
    assert await ready(client) == []

    await clock.advance(3 * 10 + 6)
    assert await ready(client) == ["no source has answered for 30 s"]
    await server.publish()
    assert await ready(client) == []

    await server.announce(Status.STALE, "Nobody answers.")
    assert await ready(client) == ["Nobody answers."]
    await server.publish()

    with monkeypatch.context() as broken:
        broken.setattr(server.service.store, "append", fail)
        await server.publish()
        (reason,) = await ready(client)
        assert reason.startswith("the store fails, 1 prices wait for it: ")
        assert "disk full" in reason
    await clock.advance(60)
    await eventually(lambda: server.service.outbox.fault is None)
    await server.publish()
    assert await ready(client) == []

    await server.hub.drain(0)
    assert await ready(client) == ["shutting down"]


async def fail(_: object) -> None:
    raise StoreError("disk full")


async def test_errors_are_problems_with_the_id_of_their_request(client: httpx2.AsyncClient) -> None:
    assert "/nothing" in check_problem(await client.get("/nothing"), 404)["detail"]
    not_allowed = await client.post("/healthz")
    check_problem(not_allowed, 405)
    assert not_allowed.headers["allow"] == "GET, HEAD, OPTIONS"
    check_problem(await client.delete("/prices/stream"), 405)
    no_upload = await client.post(MAIN_JS)
    assert "GET, HEAD, OPTIONS" in check_problem(no_upload, 405)["detail"]
    assert no_upload.headers["allow"] == "GET, HEAD, OPTIONS"
    check_problem(await client.get("/prices/stream?since=x"), 400)


@pytest.mark.parametrize(
    "path", ["/prices/latest/", "/prices/", "/sources//", "/prices/1764000000000/", "/docs/"]
)
async def test_trailing_slash_is_404_that_names_the_path(client: httpx2.AsyncClient, path: str) -> None:
    response = await client.get(path, headers={"Host": "evil.example"})
    assert f"request {path.rstrip('/')}, without a trailing slash" in check_problem(response, 404)["detail"]
    assert "evil" not in str(response.headers)


@pytest.mark.parametrize(
    ("path", "module", "name"),
    [("/prices/latest", prices, "reply"), ("/prices/stream", route, "PriceStream")],
    ids=["latest", "stream"],
)
async def test_internal_error_is_500_without_details(
    server: Live,
    client: httpx2.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    module: object,
    name: str,
) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("the secret")

    monkeypatch.setattr(module, name, bug)
    await server.publish()
    response = await client.get(path, headers={"X-Request-ID": "mine", "Origin": ORIGIN})
    assert "secret" not in json.dumps(check_problem(response, 500))
    assert response.headers["x-request-id"] == "mine"
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("sane", ["a", "req-1/2_3.4~5+6=", "x" * 128])
async def test_a_sane_request_id_comes_back(client: httpx2.AsyncClient, sane: str) -> None:
    response = await client.get("/healthz", headers={"X-Request-ID": sane})
    assert response.headers.get_list("x-request-id") == [sane]


@pytest.mark.parametrize("insane", ["", "x" * 129, "a b", "<script>", "a\tb", 'a"b', "ü".encode()])
async def test_an_insane_request_id_is_replaced(client: httpx2.AsyncClient, insane: str | bytes) -> None:
    value = insane if isinstance(insane, bytes) else insane.encode()
    response = await client.get("/healthz", headers=[(b"X-Request-ID", value)])
    (given,) = response.headers.get_list("x-request-id")
    assert len(given) == 16
    assert int(given, 16) >= 0


async def test_every_request_without_an_id_gets_one_of_its_own(client: httpx2.AsyncClient) -> None:
    ids = {
        (await client.get(path)).headers["x-request-id"] for path in ("/healthz", "/nothing", "/", "/docs")
    }
    assert len(ids) == 4


@pytest.mark.parametrize("path", ["/prices/latest", "/sources", "/healthz", "/readyz", "/", "/docs", MAIN_JS])
async def test_head_is_get_without_the_body_and_options_names_the_methods(
    server: Live, client: httpx2.AsyncClient, path: str
) -> None:
    await server.publish()
    get = await client.get(path)
    head = await client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    options = await client.options(path)
    assert options.status_code == 204
    assert options.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_any_page_may_read_by_default_and_none_with_credentials(client: httpx2.AsyncClient) -> None:
    response = await client.get("/healthz", headers={"Origin": ORIGIN})
    assert response.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in response.headers
    exposed = response.headers["access-control-expose-headers"].lower().split(", ")
    assert {"x-request-id", "retry-after", "link"} <= set(exposed)


@pytest.mark.parametrize("path", ["/prices/latest", "/prices/stream?since=x"])
@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (ORIGIN, ORIGIN, (ORIGIN, "true")),
        (f"*,{ORIGIN}", ORIGIN, (ORIGIN, "true")),
        (f"*,{ORIGIN}", "https://example.org", ("*", None)),
        (ORIGIN, "https://evil.example", (None, None)),
        ("*", ORIGIN, ("*", None)),
        ("null", "null", ("null", None)),
    ],
)
async def test_only_an_exact_origin_may_send_credentials(
    path: str, origins: str, origin: str, allowed: tuple[str | None, str | None]
) -> None:
    asks = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    async with live(cors_origins=origins) as server, client_of(server) as client:
        for response in (await client.get(path, headers=asks), await client.options(path, headers=asks)):
            headers = response.headers
            names = ("access-control-allow-origin", "access-control-allow-credentials")
            assert (headers.get(names[0]), headers.get(names[1])) == allowed
            if origins != "*":
                assert "origin" in headers["vary"].lower()


@pytest.mark.parametrize("path", ["/prices/next?after=0", "/prices/candles?interval=1m", "/nothing", "/"])
async def test_a_shared_cache_needs_one_copy_for_all_origins(path: str) -> None:
    """Also where the client that made the cache ask had none."""
    async with live(cors_origins="*") as server, client_of(server) as client:
        await server.publish()
        for headers in ({}, {"Origin": ORIGIN}):
            response = await client.get(path, headers=headers)
            assert response.headers["access-control-allow-origin"] == "*"
            assert "origin" not in response.headers.get("vary", "").lower()
    async with live(cors_origins=ORIGIN) as server, client_of(server) as client:
        await server.publish()
        assert "origin" in (await client.get(path)).headers["vary"].lower()


@pytest.mark.parametrize("path", ["/prices/latest", "/prices/stream?since=x", "/nothing"])
async def test_only_configured_origins_may_read(path: str) -> None:
    async with live(cors_origins=f"{ORIGIN},https://example.org") as server, client_of(server) as client:
        await server.publish()
        ours = await client.get(path, headers={"Origin": ORIGIN})
        assert ours.headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in ours.headers["vary"].lower()
        theirs = await client.get(path, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in theirs.headers
        assert "origin" in theirs.headers["vary"].lower()


@pytest.mark.parametrize("path", ["/prices/latest", "/prices/stream"])
@pytest.mark.parametrize(
    ("asks", "refused"),
    [
        ({"Access-Control-Request-Method": "PUT"}, "method"),
        ({"Access-Control-Request-Headers": "x-foo"}, "headers"),
        ({"Origin": "https://evil.example"}, "origin"),
    ],
)
async def test_a_refused_preflight_is_a_problem_that_says_what_is_allowed(
    path: str, asks: dict[str, str], refused: str
) -> None:
    async with live(cors_origins=ORIGIN) as server, client_of(server) as client:
        headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", **asks}
        response = await client.options(path, headers=headers)
        assert refused in check_problem(response, 400)["detail"]
        assert response.headers["access-control-allow-methods"] == "GET, HEAD"
        assert "Origin" in response.headers["vary"]


@pytest.mark.parametrize("path", ["/prices/latest", "/prices/stream"])
async def test_a_preflight_is_answered(client: httpx2.AsyncClient, path: str) -> None:
    asks = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "last-event-id,cache-control",
    }
    response = await client.options(path, headers=asks)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert "GET" in response.headers["access-control-allow-methods"]
    assert response.headers["x-request-id"]
