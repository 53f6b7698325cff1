"""Which token opens which route, and what a client is told otherwise (RFC 6750)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from btc_price_tracker.access.scopes import Scope
from btc_price_tracker.web import site
from btc_price_tracker.web.access.check import ROUTES, scopes_for
from live import Client, Live, live
from tokens import TOKENS, write_tokens

PLAIN = "plain-token+/~"
METRICS = "metrics-token"
STREAM = "/prices/stream"

OPEN = ["/", "/favicon.ico", "/healthz", f"/{site.folder()[0]}/main.js"]
OF_SCOPE = {
    Scope.STREAM: [STREAM, "/prices/latest", "/prices/next?after=0"],
    Scope.HISTORY: [
        "/prices",
        "/prices?last=1",
        "/prices/candles?interval=1m",
        "/prices/hours/2020-01-01T00",
        "/prices/12",
        "/prices/latest",
        "/prices/next?after=0",
    ],
    Scope.SOURCES: ["/sources"],
    Scope.DOCS: ["/docs", "/openapi.json"],
    Scope.METRICS: ["/metrics"],
}
PROTECTED = sorted({path for paths in OF_SCOPE.values() for path in paths})


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Live]:
    """A server with both kinds of tokens, and a price."""
    write_tokens(tmp_path / "tokens")
    async with live(tokens_file=tmp_path / "tokens", access_tokens=f"other, {PLAIN}") as server:
        await server.publish()
        yield server


async def status(server: Live, path: str, method: str = "GET", **headers: str) -> int:
    async with await Client.get(server.port, path, method=method, **headers) as client:
        return client.status


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def with_token(path: str, token: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}access_token={quote(token)}"


async def test_without_tokens_configured_everything_is_open() -> None:
    async with live() as server:
        await server.publish()
        for path in [*OPEN, *PROTECTED]:
            assert await status(server, path) in (200, 404), path
            assert await status(server, with_token(path, "needless")) in (200, 404), path


async def test_what_holds_no_price_is_open(server: Live) -> None:
    for path in OPEN:
        assert await status(server, path) == 200, path
    assert await status(server, "/readyz") in (200, 503)


@pytest.mark.parametrize("suffix", ["%0A", "%0a", "%00", "%7F", "%0A?access_token=x"])
async def test_no_control_character_makes_a_path_another(suffix: str) -> None:
    """Starlette's routes end in `$`, which matches before a newline as well."""
    async with live(metrics_token=METRICS) as server:
        await server.publish()
        for path in ROUTES:
            assert await status(server, path + suffix) == 400, path
            assert await status(server, f"http://localhost{path}{suffix}") == 400, path


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_everything_else_requires_a_token(server: Live, method: str) -> None:
    for path in [
        *PROTECTED,
        "/nothing",
        "//prices",
        "/prices/",
        "/prices%2Flatest",
        "/PRICES",
        "/prices/../prices",
    ]:
        async with await Client.get(server.port, path, method=method) as client:
            assert (client.status, client.headers["www-authenticate"]) == (401, "Bearer"), path
            assert client.headers["content-type"] == "application/problem+json"
            assert client.headers["cache-control"] == "no-store"


async def test_invalid_token_is_said_to_be_one(server: Live) -> None:
    for token in ("wrong", f"{PLAIN}x", PLAIN[:-1], TOKENS["all"][:-1], "é", "other, plain"):
        for path in (STREAM, "/prices/latest"):
            async with await Client.get(server.port, path, **bearer(token)) as client:
                challenge = 'Bearer error="invalid_token"'
                assert (client.status, client.headers["www-authenticate"]) == (401, challenge), token
                assert token.encode() not in await client.body()


@pytest.mark.parametrize("scope", list(Scope))
async def test_scope_opens_its_routes_and_no_other(server: Live, scope: Scope) -> None:
    for path in PROTECTED:
        expected = (200, 404) if path in OF_SCOPE[scope] else (403,)
        assert await status(server, path, **bearer(TOKENS[scope])) in expected, path
        assert await status(server, with_token(path, TOKENS[scope])) in expected, path


async def test_missing_scope_is_named(server: Live) -> None:
    async with await Client.get(server.port, "/prices", **bearer(TOKENS["sources"])) as client:
        assert client.status == 403
        assert client.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="history"'
        assert b"lacks the scope history" in await client.body()


async def test_plain_tokens_open_all_but_the_metrics(server: Live) -> None:
    for path in PROTECTED:
        for token in ("other", PLAIN):
            expected = (403,) if path == "/metrics" else (200, 404)
            assert await status(server, path, **bearer(token)) in expected, path


async def test_header_wins_over_the_query(server: Live) -> None:
    assert await status(server, with_token("/prices/latest", "wrong"), **bearer(PLAIN)) == 200
    assert await status(server, with_token("/prices/latest", PLAIN), **bearer("wrong")) == 401


async def test_other_schemes_may_be_a_proxys(server: Live) -> None:
    assert (
        await status(server, with_token("/prices/latest", PLAIN), Authorization="Basic dXNlcjpwYXNz") == 200
    )
    assert await status(server, "/prices/latest", Authorization=f"bearer   {PLAIN} ") == 200


async def test_parameter_name_may_be_percent_encoded(server: Live) -> None:
    assert await status(server, f"/prices/latest?access%5Ftoken={quote(PLAIN, safe='')}") == 200


@pytest.mark.parametrize(
    ("path", "authorized"),
    [("/metrics", {METRICS}), ("/prices/latest", {PLAIN, METRICS, None}), (STREAM, {PLAIN, METRICS, None})],
)
async def test_metrics_token_concerns_the_metrics_alone(path: str, authorized: set[str | None]) -> None:
    async with live(metrics_token=METRICS) as server:
        await server.publish()
        for token in (None, PLAIN, METRICS):
            found = await status(server, path, **(bearer(token) if token else {}))
            assert found == (200 if token in authorized else 401), token


async def test_metrics_stay_open_where_only_access_tokens_are_set() -> None:
    async with live(access_tokens=PLAIN) as server:
        assert await status(server, "/metrics") == 200
        assert await status(server, STREAM) == 401


async def test_metrics_token_and_scope_both_open_the_metrics(tmp_path: Path) -> None:
    write_tokens(tmp_path / "tokens")
    async with live(tokens_file=tmp_path / "tokens", metrics_token=METRICS) as server:
        assert await status(server, "/metrics", **bearer(METRICS)) == 200
        assert await status(server, "/metrics", **bearer(TOKENS["metrics"])) == 200
        assert await status(server, "/metrics", **bearer(TOKENS["stream"])) == 403
        assert await status(server, "/sources", **bearer(METRICS)) == 403


async def test_browsers_get_cors_headers_and_preflights_need_no_token(server: Live) -> None:
    for path in (STREAM, "/prices"):
        async with await Client.get(server.port, path, Origin="https://a.example") as client:
            assert client.status == 401
            assert client.headers["access-control-allow-origin"] == "*"
            assert "WWW-Authenticate" in client.headers["access-control-expose-headers"]
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        async with await Client.get(
            server.port, path, method="OPTIONS", Origin="https://a.example", **asked
        ) as client:
            assert client.status == 200
            assert "authorization" in client.headers["access-control-allow-headers"].lower()
        assert await status(server, path, "OPTIONS") == 204


async def test_token_is_no_part_of_the_query_that_follows(server: Live) -> None:
    await server.publish()
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as client:
        response = await client.get(with_token("/prices?limit=1", PLAIN))
        assert response.status_code == 200
        assert "access_token" not in response.headers["link"]
        following = response.links["next"]["url"]
        assert (await client.get(f"/prices{following}", headers=bearer(PLAIN))).status_code == 200


async def test_faults_beside_a_token_are_reported_without_it(server: Live) -> None:
    for path in (
        f"{STREAM}?since=x",
        "/prices?limit=x",
        "/prices?acces=1",
        "/prices/x",
        "/prices/next?after=x",
    ):
        async with await Client.get(server.port, with_token(path, PLAIN)) as client:
            assert client.status == 400, path
            body = await client.body()
            assert PLAIN.encode() not in body
            assert quote(PLAIN).encode() not in body


async def test_responses_are_kept_by_the_clients_own_cache_only(server: Live) -> None:
    first = await Client.get(server.port, "/prices/latest", **bearer(PLAIN))
    price = int((await first.body()).split(b'"id":')[1].split(b",")[0])
    first.close()
    for path in (f"/prices/{price}", "/prices/next?after=0", "/prices/hours/2020-01-01T00"):
        async with await Client.get(server.port, with_token(path, PLAIN)) as client:
            assert client.headers["cache-control"].split(",")[0] in ("private", "no-store"), path
            assert "Authorization" in client.headers["vary"]
            assert "public" not in client.headers["cache-control"]
    async with await Client.get(server.port, f"/{site.folder()[0]}/main.js") as client:
        assert client.headers["cache-control"].startswith("public")
        assert "authorization" not in client.headers["vary"].lower()
    async with live() as unprotected:
        latest = await unprotected.publish()
        async with await Client.get(unprotected.port, f"/prices/{latest}") as client:
            assert client.headers["cache-control"].startswith("public")


async def test_etags_still_save_the_transfer(server: Live) -> None:
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, headers=bearer(PLAIN)) as client:
        response = await client.get("/prices/next?after=0")
        again = await client.get("/prices/next?after=0", headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == 304
        assert "Authorization" in again.headers["vary"]


async def test_token_has_its_own_limit_of_streams(server: Live) -> None:
    """The token `all` may have two."""
    token, browser = TOKENS["all"], {"Accept": "text/event-stream", "User-Agent": "Mozilla/5.0"}
    first, second = [await Client.get(server.port, STREAM, **bearer(token)) for _ in range(2)]
    async with await Client.get(server.port, STREAM, **bearer(token)) as third:
        assert third.status == 429
        assert 10 <= int(third.headers["retry-after"]) <= 30
        assert b"The most streams that your access token allows are open" in await third.body()
    async with await Client.get(server.port, STREAM, **bearer(token), **browser) as shed:
        assert shed.status == 200
        assert b"retry: " in await shed.body()
    assert await status(server, "/prices/latest", **bearer(token)) == 200
    assert await status(server, STREAM, **bearer(TOKENS["stream"])) == 200
    first.close()
    while await status(server, STREAM, **bearer(token)) != 200:
        await asyncio.sleep(0.01)
    second.close()


async def test_streams_and_requests_are_counted_by_name(server: Live) -> None:
    async with (
        await Client.get(server.port, STREAM, **bearer(TOKENS["all"])),
        await Client.get(server.port, STREAM, **bearer(PLAIN)),
        await Client.get(server.port, "/metrics", **bearer(TOKENS["metrics"])) as client,
    ):
        lines = (await client.body()).decode().splitlines()
        assert 'btc_token_streams_open{token="all"} 1.0' in lines
        assert 'btc_token_streams_open{token="-"} 1.0' in lines
        assert 'btc_token_streams_open{token="history"} 0.0' in lines
        assert 'btc_token_requests_total{token="all"} 1.0' in lines
        assert 'btc_token_requests_total{token="metrics"} 1.0' in lines


async def test_every_route_has_its_scopes(server: Live) -> None:
    """One that is added without them is closed for all but valid tokens of any scope."""
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, headers=bearer(PLAIN)) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    for path in paths:
        assert path in ROUTES or (path.startswith("/prices/") and scopes_for(path) == ROUTES["/prices/"]), (
            path
        )
