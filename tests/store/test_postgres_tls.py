"""TLS to PostgreSQL. The server of the tests was built without it, so a proxy terminates TLS."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import open_store
from databases.postgres import PostgresServer

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="no openssl to make a certificate with")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost and its key."""
    path = tmp_path / "localhost.pem"
    options = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    command = [
        str(OPENSSL),
        "req",
        "-x509",
        *options,
        "-keyout",
        str(path),
        "-out",
        str(tmp_path / "cert.pem"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    with path.open("ab") as file:
        file.write((tmp_path / "cert.pem").read_bytes())
    return path


@pytest.fixture
async def tls_proxy(certificate: Path, postgres_server: PostgresServer) -> AsyncIterator[int]:
    """The port of a proxy that negotiates TLS as PostgreSQL does and forwards the rest."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"S")
        try:
            await writer.start_tls(context)
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", postgres_server.port)
            await asyncio.gather(forward(reader, server_writer), forward(server_reader, writer))
        except (ssl.SSLError, ConnectionError):
            writer.transport.abort()

    async with await asyncio.start_server(proxy, "localhost", 0, family=2) as server:
        yield int(server.sockets[0].getsockname()[1])


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_sslmode_verifies_the_certificate(
    tls_proxy: int, certificate: Path, postgres_server: PostgresServer
) -> None:
    async def opened(host: str, **options: str) -> None:
        url = postgres_server.url(await postgres_server.new_database(), **options)
        store = await open_store(
            url.replace(f"127.0.0.1:{postgres_server.port}", f"{host}:{tls_proxy}"), capacity=1
        )
        await store.span()
        await store.close()

    await opened("127.0.0.1", sslmode="require")
    await opened("localhost", sslmode="verify-full", sslrootcert=str(certificate))
    with pytest.raises(
        StoreError, match=r"check host, port and TLS in STORE_URL.*(not valid for|mismatch)"
    ) as caught:
        await opened("127.0.0.1", sslmode="verify-full", sslrootcert=str(certificate))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(StoreError, match="STORE_URL"):
        await opened("localhost", sslmode="verify-full", sslrootcert="/none.pem")
