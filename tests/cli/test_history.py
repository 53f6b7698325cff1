"""`history` against servers like ours, below a path prefix, and against other servers."""

import asyncio
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from btc_price_tracker.cli.history import LIMITS, Limits, fetch, parse_time, server_url
from btc_price_tracker.cli.tables import Row, write
from btc_price_tracker.errors import ServerError, SettingsError
from command import run
from socks import socks

CANDLE = b'[{"timestamp":1764000000,"open":1.10,"high":2,"low":1,"close":2,"count":3,"final":false}]'


class Server(HTTPServer):
    """Returns the same response to every request, and records the targets."""

    status, kind, body, link = 200, "application/json", b"[]", ""
    targets: list[str]
    authorizations: list[str | None]

    def respond_with(self, status: int, kind: str, body: bytes) -> None:
        self.status, self.kind, self.body = status, kind, body

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.targets.append(self.path)
        self.server.authorizations.append(self.headers["Authorization"])
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(self.server.body)))
        if self.server.link:
            self.send_header("Link", self.server.link)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


class ClosingHandler(Handler):
    """Sends one response per connection, a `Link` in the first, and closes on the second request."""

    protocol_version = "HTTP/1.1"
    has_responded = False

    def do_GET(self) -> None:
        self.close_connection = self.has_responded
        if not self.has_responded:
            self.has_responded = True
            super().do_GET()
            self.server.link = ""


def pages(url: str, limits: Limits = LIMITS) -> list[list[Row]]:
    async def fetched() -> list[list[Row]]:
        return [page async for page in fetch(url, {}, limits)]

    return asyncio.run(fetched())


@contextmanager
def serving(handler: type[Handler]) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), handler) as server:
        server.targets, server.authorizations = [], []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Handler) as server:
        yield server


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", b"<html>"),
        (200, "application/json", b'{"a":1}'),
        (200, "application/json", b'[{"a":1}]'),
        (200, "application/json", b'[{"timestamp":99999999999999}]'),
        (404, "application/json", b"no JSON"),
        (404, "application/json", b'{"detail":[1]}'),
        (503, "application/json", b"[]"),
        (200, "application/json", b'[{"timestamp":1,"status":"\\u001b[2J"}]'),
        (200, "application/json", b'[{"timestamp":1,"\\n":1}]'),
        (200, "application/json", b'[{"timestamp":1,"quotes":[1]}]'),
        (200, "application/json", b'[{"timestamp":1,"quotes":' + 100_000 * b"[" + 100_000 * b"]" + b"}]"),
        (500, "application/json", b'{"detail":' + 100_000 * b"[" + 100_000 * b"]" + b"}"),
        (500, "application/json", b'{"detail":"\\u001b[2J"}'),
    ],
)
def test_other_servers_are_reported(server: Server, status: int, kind: str, body: bytes) -> None:
    server.respond_with(status, kind, body)
    with pytest.raises(ServerError, match=rf"^{server.name} is not a btc-price-tracker.*HTTP {status}"):
        asyncio.run(write(fetch(f"http://{server.name}", {}), "table", io.StringIO()))


def test_an_invalid_link_is_reported(server: Server) -> None:
    server.link = "<http://[bad>; rel=next"
    with pytest.raises(ServerError, match=r"is not a btc-price-tracker"):
        pages(f"http://{server.name}")


def test_a_response_beyond_the_limit_is_refused(server: Server) -> None:
    limits = Limits(max_bytes=2)
    assert pages(f"http://{server.name}", limits) == [[]]
    server.body = b"[ ]"
    with pytest.raises(ServerError, match=r"is not a btc-price-tracker: its response has more than 2 bytes$"):
        pages(f"http://{server.name}", limits)


def test_links_that_form_a_loop_are_reported(server: Server) -> None:
    server.link = '</prices?since=1>; rel="next"'
    with pytest.raises(ServerError, match=r"its pages form a loop$"):
        pages(f"http://{server.name}")
    assert server.targets == ["/prices?limit=10000", "/prices?since=1"]


@pytest.mark.parametrize(
    "link", ["?since=1", "/prices?since=1", "prices?since=1", "http://elsewhere.invalid/prices?since=1"]
)
@pytest.mark.parametrize("base", ["", "/prefix"])
def test_links_are_followed_at_the_url_given(link: str, base: str) -> None:
    with serving(ClosingHandler) as server:
        server.link = f'<{link}>; rel="next"'
        assert pages(f"http://{server.name}{base}") == [[], []]
    assert server.targets == [f"{base}/prices?limit=10000", f"{base}/prices?since=1"]


def test_history_continues_after_a_closed_connection() -> None:
    with serving(ClosingHandler) as server:
        server.link = '</prices?since=1>; rel="next"'
        assert pages(f"http://{server.name}") == [[], []]
    assert server.targets == ["/prices?limit=10000", "/prices?since=1"]


def test_an_unresponsive_proxy_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ServerError, match=r"^h\.invalid can't be reached: connect timeout$"):
            pages("https://h.invalid", Limits(timeout=0.2))


def test_the_detail_of_a_problem_is_shown(server: Server) -> None:
    server.respond_with(503, "application/problem+json", b'{"detail":"the store fails"}')
    with pytest.raises(ServerError, match=r"^the store fails$"):
        pages(f"http://{server.name}")


@pytest.mark.parametrize(("base", "path"), [("", "/prices"), ("/base/path/", "/base/path/prices")])
def test_a_path_prefix_is_kept(server: Server, base: str, path: str) -> None:
    assert pages(f"http://{server.name}{base}") == [[]]
    assert server.targets == [f"{path}?limit=10000"]


def test_this_machine_is_reached_without_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert pages(f"http://{server.name}") == [[]]


def test_csv_has_booleans_as_in_json(server: Server) -> None:
    server.respond_with(200, "application/json", CANDLE)
    written = io.StringIO()
    asyncio.run(write(fetch(f"http://{server.name}", {"interval": "1m"}), "csv", written))
    assert written.getvalue().splitlines()[1] == "1764000000,1.10,2,1,2,3,false"


def test_csv_quotes_cells_and_keeps_column_order(server: Server) -> None:
    server.respond_with(
        200, "application/json", b'[{"timestamp":1,"status":"a, \\"b\\""},{"status":null,"timestamp":2}]'
    )
    written = io.StringIO()
    asyncio.run(write(fetch(f"http://{server.name}", {}), "csv", written))
    assert written.getvalue() == 'timestamp,status\n1,"a, ""b"""\n2,\n'


NOW = 1_764_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1764000000", NOW),
        ("-30s", NOW - 30),
        ("-90m", NOW - 5400),
        ("-1h", NOW - 3600),
        ("-7d", NOW - 7 * 86400),
        ("2025-11-24T16:00", NOW),
        ("2025-11-24T17:00+01:00", NOW),
        ("2025-11-24", NOW - 16 * 3600),
    ],
)
def test_times_are_absolute_or_relative(text: str, seconds: int) -> None:
    assert parse_time(text, NOW) == seconds


@pytest.mark.parametrize(
    "text", ["", "-1", "-h", "1h", "-1y", "-99999999d", "yesterday", "1969-12-31", "-1.5h"]
)
def test_invalid_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text, NOW)


@pytest.mark.parametrize(
    ("flags", "environment", "url"),
    [
        ({}, {}, "http://127.0.0.1:8082"),
        ({}, {"HOST": "0.0.0.0", "PORT": "9000"}, "http://127.0.0.1:9000"),
        ({}, {"HOST": "::"}, "http://[::1]:8082"),
        ({}, {"HOST": "2001:db8::1"}, "http://[2001:db8::1]:8082"),
        ({"port": "9001"}, {"HOST": "example.com", "PORT": "9000"}, "http://example.com:9001"),
        ({"url": "http://h"}, {"PORT": "x"}, "http://h"),
        ({"url_flag": "http://h"}, {"PORT": "0"}, "http://h"),
    ],
)
def test_server_url_defaults_to_host_and_port(
    flags: dict[str, str], environment: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOST", "PORT"):
        monkeypatch.setenv(name, environment.get(name, ""))
    monkeypatch.setenv("RETENTION", "not used by clients")
    assert server_url(flags) == url


def test_an_unknown_server_url_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServerError, match="given twice"):
        server_url({"url": "http://h", "url_flag": "http://h"})
    for port, message in (("0", "give its URL"), ("x", "give a whole number, not 'x'")):
        monkeypatch.setenv("PORT", port)
        with pytest.raises(SettingsError, match=message):
            server_url({})


def test_history_uses_relative_times_and_port(server: Server) -> None:
    result = run("history", "--since", "-1h", "--until=-30m", "--plot", PORT=str(server.server_port))
    assert (result.returncode, result.stdout, result.stderr) == (0, "no prices\n", "")
    (target,) = server.targets
    query = parse_qs(urlsplit(target).query)
    assert int(query["until"][0]) - int(query["since"][0]) == 1800


@pytest.mark.parametrize("url", ["notaurl", "localhost:8082", "ftp://localhost", "http://localhost:port"])
def test_invalid_urls_are_reported(url: str) -> None:
    with pytest.raises(ServerError, match=f"'{url}' is not the URL of a server"):
        pages(url)


def test_the_default_port_is_not_shown() -> None:
    with pytest.raises(ServerError, match=r"^nowhere\.invalid can't be reached"):
        pages("http://nowhere.invalid")


@pytest.mark.parametrize("command", [("history", "https://h.invalid"), ("sources",), ("check",)])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "foo://x"),
        ("https_proxy", "http://h:port"),
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ],
)
def test_invalid_proxy_and_tls_variables_are_named(command: tuple[str, ...], name: str, value: str) -> None:
    result = run(*command, **{name: value}, STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"btc-price-tracker: {name} can't be used")
    assert result.stderr.endswith(", or unset it\n")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "foo://x"])
def test_an_unused_invalid_proxy_is_ignored(server: Server, proxy: str) -> None:
    result = run("history", f"http://{server.name}", "--format", "json", ALL_PROXY=proxy)
    assert (result.returncode, result.stderr) == (0, "")


def test_history_is_fetched_through_a_socks_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetched() -> list[list[Row]]:
        async with socks(server.server_port) as proxy:
            monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
            return [page async for page in fetch("http://prices.onion", {})]

    assert asyncio.run(fetched()) == [[]]


def test_an_unreachable_server_is_reported() -> None:
    result = run("history", "http://127.0.0.1:1")
    assert result.returncode == 1
    assert "127.0.0.1:1 can't be reached" in result.stderr


def test_access_token_is_sent_in_the_header_and_never_shown(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-token\n")
    for settings in ({"ACCESS_TOKEN": "secret-token"}, {"ACCESS_TOKEN_FILE": str(tmp_path / "token")}):
        result = run("history", f"http://{server.name}", PORT="not used", **settings)
        assert result.returncode == 0
        assert server.authorizations[-1] == "Bearer secret-token"
    assert not any("secret" in target for target in server.targets)
    server.respond_with(401, "application/problem+json", b'{"detail": "An access token is required."}')
    refused = run("history", f"http://{server.name}", ACCESS_TOKEN="secret-token")
    assert refused.returncode == 1
    assert "An access token is required. Set ACCESS_TOKEN, or ACCESS_TOKEN_FILE" in refused.stderr
    assert "secret" not in refused.stderr
    assert "ACCESS_TOKEN: give printable ASCII" in run("history", ACCESS_TOKEN="two words").stderr


def test_access_token_is_no_flag() -> None:
    result = run("history", "--access-token", "secret-token")
    assert result.returncode == 2
    assert "--access-token is refused" in result.stderr
    assert "secret" not in result.stderr
