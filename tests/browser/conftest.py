"""A real server and a real Chromium."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright

from browser.process import Server, running
from btc_price_tracker.web.site import folder

CHROMIUM = Path("/usr/bin/chromium")
START = 1_700_000_000  # seconds since the epoch: when the clock of a blank page begins
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP tracker.test 127.0.0.1",  # a name that is no secure context over plain HTTP
]

expect.set_options(timeout=30_000)  # ms: a busy machine takes its time; what is wrong stays wrong for longer


@pytest.fixture(scope="module")
def demo() -> Iterator[Server]:
    """Recorded prices, one a second; anew for each module, since a recorded outage comes after some minutes."""
    with running(Server("demo", store_url="memory://")) as server:
        yield server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """For a module, not for the session: Playwright keeps a loop running, which async tests don't bear."""
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not installed: there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def browser_context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    yield context
    context.close()


@pytest.fixture
def complaints(browser_context: BrowserContext) -> list[str]:
    """What the console and uncaught errors say; violations of the content security policy are among it."""
    heard: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            heard.append(message.text)

    browser_context.on("console", listen)
    browser_context.on("weberror", lambda error: heard.append(str(error.error)))
    return heard


@pytest.fixture
def visit(browser_context: BrowserContext, complaints: list[str]) -> Callable[[Server], Page]:
    """Open the page of a server and wait for its first price."""

    def go(server: Server) -> Page:
        page = browser_context.new_page()
        page.goto(server.url)
        page.wait_for_selector("main[data-price=fresh]")
        return page

    return go


@pytest.fixture
def blank(demo: Server, chromium: Browser) -> Page:
    """A page of the server's origin without any script of its own, and with a clock that the test owns."""
    page = chromium.new_page()
    page.clock.install(time=START)
    serve_modules(page)
    page.route("**/blank", lambda route: route.fulfill(content_type="text/html", body=""))
    page.goto(f"{demo.url}/blank")
    page.clock.pause_at(START + 3600)  # installed, it runs on
    return page


def serve_modules(page: Page) -> None:
    """Give a page the modules as /page/…: the folder that they are in is named after what is in it."""

    def lead(route: Route) -> None:
        route.continue_(url=route.request.url.replace("/page/", f"/{folder()[0]}/"))

    page.route(re.compile(r"/page/[\w-]+\.js$"), lead)
