"""CORS headers are the same on every path: streams that leave the server, streams that stay, and the rest."""

import asyncio

import pytest

from live import Client, Live, live

A, B = "https://a.example", "https://b.example:8443"
CONFIGURED = ("*", A, f"{A},{B}", f"*,{A}", "null", f"*,null,{A}", "HTTPS://A.Example")
ORIGINS = (
    A,
    B,
    "https://b.example",
    "https://A.EXAMPLE",
    "http://a.example",
    "https://a.example:443",
    "null",
    "",
)
CORS = "access-control-"


async def cors_headers(
    server: Live, path: str, origin: str, *more: str, method: str = "GET"
) -> dict[str, str]:
    """Those of a response, `vary` as far as it concerns the origin, and the status."""
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Origin: {origin}", *more]
    async with client:
        client.writer.write("\r\n".join([*lines, "", ""]).encode())
        headers = await client.head()
    found = {name: value for name, value in headers.items() if name.startswith(CORS)}
    varies = "origin" in headers.get("vary", "").lower()
    return {**found, "status": str(client.status), **({"vary": "Origin"} if varies else {})}


@pytest.mark.parametrize("configured", CONFIGURED)
async def test_streams_and_the_rest_have_identical_headers(configured: str) -> None:
    preflight = ("Access-Control-Request-Method: GET", "Access-Control-Request-Headers: last-event-id")
    async with (
        live(cors_origins=configured) as server,
        live(cors_origins=configured, detach=False) as kept,
    ):
        await server.publish()
        await kept.publish()
        for origin in ORIGINS:
            for more, method in (
                ((), "GET"),
                (("Cookie: a=b", "Last-Event-ID: 1"), "GET"),
                ((), "HEAD"),
                (preflight, "OPTIONS"),
                (("Access-Control-Request-Method: DELETE",), "OPTIONS"),
            ):
                expected = await cors_headers(server, "/prices/latest", origin, *more, method=method)
                for each in (server, kept):
                    found = await cors_headers(each, "/prices/stream", origin, *more, method=method)
                    assert found == expected, (origin, more, method)


@pytest.mark.parametrize(
    ("configured", "origin", "allowed", "credentials"),
    [
        ("*", A, "*", False),
        ("*", "null", "*", False),
        (A, A, A, True),
        (A, "https://A.EXAMPLE", None, False),  # browsers send lower case
        (A, "https://a.example:443", None, False),  # and no default port
        (A, "http://a.example", None, False),
        (f"{A},{B}", B, B, True),
        (B, "https://b.example", None, False),
        ("HTTPS://A.Example", A, A, True),
        (f"*,{A}", A, A, True),
        (f"*,{A}", B, "*", False),
        ("null", "null", "null", False),
        ("null", A, None, False),
        (A, "null", None, False),
    ],
)
async def test_only_exact_origins_are_allowed_and_send_credentials(
    configured: str,
    origin: str,
    allowed: str | None,
    credentials: bool,  # noqa: FBT001 - a table
) -> None:
    async with live(cors_origins=configured) as server:
        await server.publish()
        for path in ("/prices/stream", "/prices/latest"):
            found = await cors_headers(server, path, origin)
            assert found.get(f"{CORS}allow-origin") == allowed
            assert found.get(f"{CORS}allow-credentials") == ("true" if credentials else None)
            assert ("vary" in found) == (configured != "*")


async def test_errors_have_the_headers_too() -> None:
    async with live(cors_origins=A) as server:
        rest = await cors_headers(server, "/prices?limit=x", A)
        stream = await cors_headers(server, "/prices/stream?since=x", A)
        assert rest == stream
        assert rest["status"] == "400"
        assert rest[f"{CORS}allow-origin"] == A
