"""`history` against servers of every kind: ours below a path, and those that are something else."""

import asyncio
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from btc_price_tracker.cli import history as past
from btc_price_tracker.cli.history import fetch, moment, server_url
from btc_price_tracker.cli.tables import Row, write
from btc_price_tracker.errors import ServerError, SettingsError
from command import run
from socks import socks

CANDLE = b'[{"timestamp":1764000000,"open":1.10,"high":2,"low":1,"close":2,"count":3,"final":false}]'


class Server(HTTPServer):
    """Gives every request the same answer, and notes the targets."""

    status, kind, body, link = 200, "application/json", b"[]", ""
    targets: list[str]

    def says(self, status: int, kind: str, body: bytes) -> None:
        self.status, self.kind, self.body = status, kind, body

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.targets.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        self.send_header("Content-Length", str(len(self.server.body)))
        if self.server.link:
            self.send_header("Link", self.server.link)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


class Hasty(Answer):
    """Gives one answer to a connection, leads on from the first of all, and hangs up where it is asked again."""

    protocol_version = "HTTP/1.1"
    has_answered = False

    def do_GET(self) -> None:
        self.close_connection = self.has_answered
        if not self.has_answered:
            self.has_answered = True
            super().do_GET()
            self.server.link = ""


def pages(url: str, **query: str) -> list[list[Row]]:
    async def collected() -> list[list[Row]]:
        return [page async for page in fetch(url, query)]

    return asyncio.run(collected())


@contextmanager
def serving(answer: type[Answer]) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), answer) as server:
        server.targets = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Answer) as server:
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
def test_another_server_is_called_that(server: Server, status: int, kind: str, body: bytes) -> None:
    server.says(status, kind, body)
    with pytest.raises(ServerError, match=rf"^{server.name} is not a btc-price-tracker.*HTTP {status}"):
        asyncio.run(write(fetch(f"http://{server.name}", {}), "table", io.StringIO()))


def test_a_link_that_leads_nowhere_is_not_the_end_of_history(server: Server) -> None:
    server.link = "<http://[bad>; rel=next"
    with pytest.raises(ServerError, match=r"is not a btc-price-tracker"):
        pages(f"http://{server.name}")


def test_an_answer_longer_than_any_of_ours_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "MAX_BYTES", 2)
    assert pages(f"http://{server.name}") == [[]]
    server.body = b"[ ]"
    with pytest.raises(ServerError, match=r"is not a btc-price-tracker: its answer has more than 2 bytes$"):
        pages(f"http://{server.name}")


def test_links_that_lead_in_a_circle_end(server: Server) -> None:
    server.link = '</prices?since=1>; rel="next"'
    with pytest.raises(ServerError, match=r"its answers lead in a circle$"):
        pages(f"http://{server.name}")
    assert server.targets == ["/prices?limit=10000", "/prices?since=1"]


@pytest.mark.parametrize(
    "link", ["?since=1", "/prices?since=1", "prices?since=1", "http://elsewhere.invalid/prices?since=1"]
)
@pytest.mark.parametrize("base", ["", "/prefix"])
def test_a_link_is_followed_at_the_address_that_was_given(link: str, base: str) -> None:
    with serving(Hasty) as server:
        server.link = f'<{link}>; rel="next"'
        assert pages(f"http://{server.name}{base}") == [[], []]
    assert server.targets == [f"{base}/prices?limit=10000", f"{base}/prices?since=1"]


def test_a_connection_that_ends_between_two_answers_is_not_the_end_of_history() -> None:
    with serving(Hasty) as server:
        server.link = '</prices?since=1>; rel="next"'
        assert pages(f"http://{server.name}") == [[], []]
    assert server.targets == ["/prices?limit=10000", "/prices?since=1"]


def test_a_proxy_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ServerError, match=r"^h\.invalid can't be reached: connect timeout$"):
            pages("https://h.invalid")


def test_the_servers_own_words_are_passed_on(server: Server) -> None:
    server.says(503, "application/problem+json", b'{"detail":"the store fails"}')
    with pytest.raises(ServerError, match=r"^the store fails$"):
        pages(f"http://{server.name}")


@pytest.mark.parametrize(("base", "asked"), [("", "/prices"), ("/base/path/", "/base/path/prices")])
def test_a_path_before_ours_is_kept(server: Server, base: str, asked: str) -> None:
    assert pages(f"http://{server.name}{base}") == [[]]
    assert server.targets == [f"{asked}?limit=10000"]


def test_no_proxy_stands_before_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert pages(f"http://{server.name}") == [[]]


def test_csv_says_true_and_false_as_json_does(server: Server) -> None:
    server.says(200, "application/json", CANDLE)
    written = io.StringIO()
    asyncio.run(write(fetch(f"http://{server.name}", {"interval": "1m"}), "csv", written))
    assert written.getvalue().splitlines()[1] == "1764000000,1.10,2,1,2,3,false"


def test_csv_has_the_columns_of_its_header_whatever_is_in_them(server: Server) -> None:
    server.says(
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
def test_a_moment_is_a_time_or_how_long_ago(text: str, seconds: int) -> None:
    assert moment(text, NOW) == seconds


@pytest.mark.parametrize(
    "text", ["", "-1", "-h", "1h", "-1y", "-99999999d", "yesterday", "1969-12-31", "-1.5h"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(text, NOW)


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
def test_the_server_is_where_host_and_port_say_unless_a_url_is_given(
    flags: dict[str, str], environment: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOST", "PORT"):
        monkeypatch.setenv(name, environment.get(name, ""))
    monkeypatch.setenv("RETENTION", "no business of a client's")
    assert server_url(flags) == url


def test_a_server_that_cannot_be_known_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServerError, match="given twice"):
        server_url({"url": "http://h", "url_flag": "http://h"})
    for port, words in (("0", "give its URL"), ("x", "give a whole number, not 'x'")):
        monkeypatch.setenv("PORT", port)
        with pytest.raises(SettingsError, match=words):
            server_url({})


def test_history_takes_a_time_ago_and_asks_where_the_server_listens(server: Server) -> None:
    result = run("history", "--since", "-1h", "--until=-30m", "--plot", PORT=str(server.server_port))
    assert (result.returncode, result.stdout, result.stderr) == (0, "no prices\n", "")
    (target,) = server.targets
    query = parse_qs(urlsplit(target).query)
    assert int(query["until"][0]) - int(query["since"][0]) == 1800


@pytest.mark.parametrize("url", ["notaurl", "localhost:8082", "ftp://localhost", "http://localhost:port"])
def test_what_is_no_url_is_called_that(url: str) -> None:
    with pytest.raises(ServerError, match=f"'{url}' is no URL of a server"):
        pages(url)


def test_a_port_that_was_not_given_is_not_named() -> None:
    with pytest.raises(ServerError, match=r"^nowhere\.invalid can't be reached"):
        pages("http://nowhere.invalid")


@pytest.mark.parametrize("words", [("history", "https://h.invalid"), ("sources",), ("check",)])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "foo://x"),
        ("https_proxy", "http://h:port"),
        ("SSL_CERT_FILE", "/nonexistent"),
        ("SSL_CERT_DIR", "/nonexistent"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(words: tuple[str, ...], name: str, value: str) -> None:
    result = run(*words, **{name: value}, STORE_URL="memory://")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"btc-price-tracker: {name} can't be used")
    assert result.stderr.endswith(", or unset it\n")


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "foo://x"])
def test_a_proxy_that_is_not_needed_is_no_fault(server: Server, proxy: str) -> None:
    result = run("history", f"http://{server.name}", "--format", "json", ALL_PROXY=proxy)
    assert (result.returncode, result.stderr) == (0, "")


def test_history_is_fetched_through_a_socks_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetched() -> list[list[Row]]:
        async with socks(server.server_port) as proxy:
            monkeypatch.setenv("ALL_PROXY", f"socks5h://127.0.0.1:{proxy.port}")
            return [page async for page in fetch("http://prices.onion", {})]

    assert asyncio.run(fetched()) == [[]]
