"""nginx and HAProxy before the instances, each with little more than its defaults."""

import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from broker.process import ServerProcess
from ports import free_port

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream instances {{ {servers} }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://instances;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_connect_timeout 1s;
    }}
  }}
}}
"""
HAPROXY = """
global
  maxconn 6000
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option redispatch
frontend clients
  bind 127.0.0.1:{port}
  default_backend instances
backend instances
  balance roundrobin
  option httpchk GET /healthz
{servers}
"""


@contextmanager
def nginx(ports: Sequence[int], folder: Path) -> Iterator[int | None]:
    """The port of an nginx before these ports; None where it isn't installed."""
    servers = " ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;" for port in ports)
    port, config = free_port(), folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, servers=servers))
    yield from _running("nginx", ["-c", str(config), "-p", str(folder)], port, folder)


@contextmanager
def haproxy(ports: Sequence[int], folder: Path) -> Iterator[int | None]:
    """The port of a HAProxy before these ports; None where it isn't installed."""
    servers = "\n".join(f"  server s{port} 127.0.0.1:{port} check inter 500ms" for port in ports)
    port, config = free_port(), folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, servers=servers))
    yield from _running("haproxy", ["-db", "-f", str(config)], port, folder)


def _running(program: str, arguments: list[str], port: int, folder: Path) -> Iterator[int | None]:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        yield None
        return
    server = ServerProcess([path, *arguments], folder / f"{program}.log")
    server.start()
    try:
        _wait_for(server, port)
        yield port
    finally:
        server.stop()


def _wait_for(server: ServerProcess, port: int) -> None:
    while True:  # the test's time limit ends a wait for nothing
        assert not server.ended, server.words
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
