"""Servers are verified: a response over TLS comes from the host that the URL names, or there is none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from btc_price_tracker.errors import SourceUnreachable
from btc_price_tracker.sources.endpoint import Endpoint, open_client
from http_client.issuer import Issued, issue

LOOPBACK = "DNS:localhost,IP:127.0.0.1"
FAILED = "TLS failed: no valid certificate"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def server_with(issued: Issued) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port of a server with this certificate, and what it received."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    context = issued.server_context()
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], received


async def body_from(issued: Issued, host: str) -> bytes:
    async with server_with(issued) as (port, received), open_client() as client:
        try:
            return (await Endpoint(client, f"https://{host}:{port}").get()).body
        except SourceUnreachable:
            assert not received  # nothing was sent to it
            raise


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_certificate_of_ssl_cert_file_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    issued = issue(tmp_path / "ca", LOOPBACK)
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.certificate))
    assert await body_from(issued, host) == b"{}"


async def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match=FAILED):
        await body_from(issue(tmp_path / "ca", LOOPBACK), "localhost")


async def test_a_certificate_that_only_resembles_a_trusted_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(issue(tmp_path / "trusted", LOOPBACK).certificate))
    with pytest.raises(SourceUnreachable, match=FAILED):
        await body_from(issue(tmp_path / "other", LOOPBACK), "localhost")


@pytest.mark.parametrize(
    ("names", "start", "end"),
    [
        ("DNS:example.com", "20200101000000Z", "21200101000000Z"),
        ("DNS:localhost.example.com", "20200101000000Z", "21200101000000Z"),
        (LOOPBACK, "20200101000000Z", "20210101000000Z"),  # expired
        (LOOPBACK, "21190101000000Z", "21200101000000Z"),  # not valid yet
    ],
)
async def test_a_trusted_certificate_for_another_name_or_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str, start: str, end: str
) -> None:
    issued = issue(tmp_path / "ca", names, start, end)
    monkeypatch.setenv("SSL_CERT_FILE", str(issued.certificate))
    with pytest.raises(SourceUnreachable, match=FAILED):
        await body_from(issued, "localhost")
