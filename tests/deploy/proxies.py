"""The proxies of `deploy/`, run as they are but for their addresses and files."""

import asyncio
import contextlib
import itertools
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from live import Client
from ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
ADDRESSES = itertools.cycle(f"127.0.0.{number}" for number in range(2, 12))
PATIENCE = 60  # seconds a proxy has to start on a busy machine


class TLSClient(Client):
    """One that closes as browsers do; asyncio would wait for the other side's word first."""

    def close(self) -> None:
        self.writer.transport.abort()


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running one; `tls` is what a client needs to speak to it, if it speaks TLS."""

    name: str
    port: int
    tls: ssl.SSLContext | None
    log: Path

    async def connect(self, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from an address of this machine, through TLS where that is what there is."""
        host = "localhost" if self.tls else None
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls, server_hostname=host, local_addr=(source, 0)
        )

    async def get(self, path: str, source: str = "", **headers: str) -> Client:
        """As Client.get, from the address `source`; or from one of several, since one has limits and a crowd many."""
        reader, writer = await self.connect(source or next(ADDRESSES))
        lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        client = TLSClient(reader, writer)
        try:
            await client.head()
        except BaseException:
            client.close()
            raise
        return client


def need(program: str) -> str:
    """The path of a program; skips the test where it is not installed."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed; on Debian: apt install {program.removesuffix('d')}")
    return path


def replaced(text: str, changes: Mapping[str, str]) -> str:
    """The text with each of the changes, all of which must apply."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def certificate(folder: Path) -> tuple[Path, Path, ssl.SSLContext]:
    """A certificate and key of localhost, and a context that trusts it."""
    crt, key = folder / "tls.crt", folder / "tls.key"
    command = [need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(crt)], check=True, capture_output=True)
    return crt, key, ssl.create_default_context(cafile=str(crt))


Prepared = tuple[list[str], ssl.SSLContext | None]


def nginx(folder: Path, upstream: int, port: int) -> Prepared:
    crt, key, context = certificate(folder)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = replaced(
        (DEPLOY / "nginx.conf").read_text(),
        {
            "worker_processes auto": "worker_processes 2",
            "worker_rlimit_nofile 200000": "worker_rlimit_nofile 4096",
            "worker_connections 65536": "worker_connections 4000",
            "http {": "http { " + temporary,
            "tracker:8082": f"127.0.0.1:{upstream}",
            "/var/cache/nginx/prices": str(folder / "cache"),
            "listen 80": f"listen 127.0.0.1:{free_port()}",
            "listen 443": f"listen 127.0.0.1:{port}",
            "/etc/nginx/tls/tls.crt": str(crt),
            "/etc/nginx/tls/tls.key": str(key),
        },
    )
    (folder / "nginx.conf").write_text(config)
    user = "user root;" if os.getuid() == 0 else ""  # whose files the test's are
    own = f"daemon off; pid {folder}/pid; {user}"
    return [need("nginx"), "-e", "stderr", "-c", str(folder / "nginx.conf"), "-g", own], context


def haproxy(folder: Path, upstream: int, port: int) -> Prepared:
    crt, key, context = certificate(folder)
    (folder / "tls.pem").write_text(crt.read_text() + key.read_text())
    config = replaced(
        (DEPLOY / "haproxy.cfg").read_text(),
        {
            "maxconn 100000": "maxconn 1500",
            "tracker:8082": f"127.0.0.1:{upstream}",
            "bind :80": f"bind 127.0.0.1:{free_port()}",
            "bind :443": f"bind 127.0.0.1:{port}",
            "/etc/haproxy/tls.pem": str(folder / "tls.pem"),
        },
    )
    (folder / "haproxy.cfg").write_text(config)
    return [need("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")], context


def caddy(folder: Path, upstream: int, port: int) -> Prepared:
    crt, key, context = certificate(folder)
    config = replaced(
        (DEPLOY / "Caddyfile").read_text(),
        {
            "\tservers {": "\tadmin off\n\tauto_https off\n\tservers {",
            "prices.example.com {": f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {crt} {key}",
            "tracker:8082": f"127.0.0.1:{upstream}",
        },
    )
    (folder / "Caddyfile").write_text(config)
    return [need("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")], context


def varnish(folder: Path, upstream: int, port: int) -> Prepared:
    changes = {'"tracker"': '"127.0.0.1"', '"8082"': f'"{upstream}"'}
    (folder / "varnish.vcl").write_text(replaced((DEPLOY / "varnish.vcl").read_text(), changes))
    command = [need("varnishd"), "-F", "-a", f"127.0.0.1:{port}", "-f", str(folder / "varnish.vcl")]
    jail = ["-j", "none", "-n", str(folder / "work"), "-T", "none", "-s", "malloc,16m"]
    return [*command, *jail, "-p", "thread_pool_max=1000", "-p", "vcc_allow_inline_c=off"], None


PROXIES: dict[str, Callable[[Path, int, int], Prepared]] = {
    "nginx": nginx,
    "haproxy": haproxy,
    "caddy": caddy,
    "varnish": varnish,
}


@asynccontextmanager
async def running(
    name: str, folder: Path, upstream: int, changes: Mapping[str, str] | None = None
) -> AsyncIterator[Proxy]:
    """One of them in front of a port of this machine; with changes to its configuration."""
    port = free_port()
    command, context = PROXIES[name](folder, upstream, port)
    _change(Path(next(word for word in command if word.startswith(f"{folder}/"))), changes or {})
    async with started(name, (command, context), folder, port) as proxy:
        yield proxy


@asynccontextmanager
async def started(name: str, prepared: Prepared, folder: Path, port: int) -> AsyncIterator[Proxy]:
    """A proxy that listens on a port."""
    command, context = prepared
    log = folder / "log"
    with log.open("wb") as output:
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, env=environment
        )
    try:
        async with asyncio.timeout(PATIENCE):
            while not await _listens(port):
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield Proxy(name, port, context, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


def _change(config: Path, changes: Mapping[str, str]) -> None:
    config.write_text(replaced(config.read_text(), changes))


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
