"""TLS to PostgreSQL. The server of the tests was built without, so a doorman with a certificate stands before it."""

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
    """A certificate for localhost that nobody vouches for, and its key."""
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
    with path.open("ab") as whole:
        whole.write((tmp_path / "cert.pem").read_bytes())
    return path


@pytest.fixture
async def doorman(certificate: Path, postgres_server: PostgresServer) -> AsyncIterator[int]:
    """The port of one who speaks TLS with whoever asks for it, as PostgreSQL does, and passes the rest on."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"S")
        try:
            await writer.start_tls(context)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", postgres_server.port)
            await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
        except (ssl.SSLError, ConnectionError):
            writer.transport.abort()

    async with await asyncio.start_server(admit, "localhost", 0, family=2) as server:
        yield int(server.sockets[0].getsockname()[1])


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_sslmode_verifies_the_certificate(
    doorman: int, certificate: Path, postgres_server: PostgresServer
) -> None:
    async def opened(host: str, **options: str) -> None:
        url = postgres_server.url(await postgres_server.new_database(), **options)
        store = await open_store(
            url.replace(f"127.0.0.1:{postgres_server.port}", f"{host}:{doorman}"), capacity=1
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
