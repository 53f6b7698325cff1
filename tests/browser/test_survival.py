"""The page lives through restarts, and its tabs share one stream."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from browser.process import Server, running

Visit = Callable[[Server], Page]

POINTS = "chart => [chart.dataset.first, chart.dataset.last, chart.dataset.count].map(Number)"
PATIENCE = 45_000  # ms: the page's own back-off may have grown


# By whoever has the focus on it, in the moment in which it is there: the first wait lasts half a second.
PRESSED = """() => {
  const button = document.querySelector("#retry");
  if (button.hidden) return false;
  button.focus();
  button.click();
  return true;
}"""


def points(page: Page) -> tuple[int, int, int]:
    """First id, last id and number of the points that the page has."""
    first, last, count = page.locator("#chart").evaluate(POINTS)
    return first, last, count


def expect_no_hole_and_no_repeat(page: Page, server: Server) -> None:
    first, last, count = points(page)
    ids = [i for i in server.stream_ids(first // 1000, last) if i >= first]
    assert (ids[0], ids[-1], len(ids)) == (first, last, count)


def wait_for_a_point_after(page: Page, last: int) -> None:
    page.wait_for_function(
        "last => Number(document.querySelector('#chart').dataset.last) > last", arg=last, timeout=PATIENCE
    )


def test_the_page_survives_a_killed_server_and_goes_on_without_a_hole(visit: Visit, tmp_path: Path) -> None:
    with running(Server("demo", store_url=f"sqlite:///{tmp_path}/prices.db")) as server:
        page = visit(server)
        wait_for_a_point_after(page, points(page)[1])
        server.kill()
        expect(page.locator("#link")).to_have_attribute("data-state", "waiting", timeout=PATIENCE)
        expect(page.get_by_role("button", name="Try now")).to_be_visible(timeout=PATIENCE)
        page.wait_for_function(PRESSED, timeout=PATIENCE)
        expect(page.locator("#link")).to_be_focused()
        expect(page.locator("main")).to_have_attribute("data-link", "lost")
        last = points(page)[1]
        server.start()
        expect(page.locator("#link-words")).to_have_text("Connected", timeout=PATIENCE)
        wait_for_a_point_after(page, last)
        expect_no_hole_and_no_repeat(page, server)


@pytest.fixture
def patient(browser_context: BrowserContext) -> None:
    """Tabs that wait longer than a second for each other, as they must where a busy machine holds one up."""

    def lengthen(route: Route) -> None:
        response = route.fetch()
        text = response.text().replace("PATIENCE = 1_000;", "PATIENCE = 60_000;")
        assert "PATIENCE = 60_000;" in text
        route.fulfill(response=response, body=text)

    browser_context.route("**/page/*/sharing.js", lengthen)


class Streams:
    """The requests for a stream that a browser makes."""

    def __init__(self, context: BrowserContext) -> None:
        self.asked: list[str] = []
        context.on("request", self._note)

    def _note(self, request: Request) -> None:
        if "/prices/stream" in request.url:
            self.asked.append(request.url)


@pytest.mark.usefixtures("patient")
def test_two_tabs_share_one_stream(demo: Server, visit: Visit, browser_context: BrowserContext) -> None:
    streams = Streams(browser_context)
    one, two = visit(demo), visit(demo)
    last = points(two)[1]
    wait_for_a_point_after(one, last)
    wait_for_a_point_after(two, last)
    assert len(streams.asked) == 1
    expect_no_hole_and_no_repeat(two, demo)


@pytest.mark.usefixtures("patient")
def test_two_tabs_ask_for_the_sources_once_a_price(
    demo: Server, visit: Visit, browser_context: BrowserContext
) -> None:
    one, two = visit(demo), visit(demo)
    asked: list[Page] = []

    def note(request: Request) -> None:
        if "/sources" in request.url:
            asked.append(request.frame.page)

    before = [points(page)[2] for page in (one, two)]
    browser_context.on("request", note)
    for page, count in zip((one, two), before, strict=True):
        page.wait_for_function(
            "count => document.querySelector('#chart').dataset.count >= count", arg=count + 5
        )
    while len(asked) < 3:  # prices that come all at once are asked about once
        one.wait_for_timeout(100)
    browser_context.remove_listener("request", note)
    new = points(one)[2] - before[0]
    assert new / 5 <= len(asked) <= new + 2  # one was due before, one may be about a status
    assert len(set(asked)) == 1
    for page in (one, two):
        expect(page.locator("#sources li")).to_have_count(4)


@pytest.mark.usefixtures("patient")
def test_when_the_tab_with_the_stream_closes_the_other_goes_on_without_a_hole(
    demo: Server, visit: Visit, browser_context: BrowserContext, complaints: list[str]
) -> None:
    streams = Streams(browser_context)
    one, two = visit(demo), visit(demo)
    last = points(two)[1]
    one.close()
    wait_for_a_point_after(two, last)
    assert len(streams.asked) == 2
    assert "last_event_id=" in streams.asked[-1]
    expect_no_hole_and_no_repeat(two, demo)
    assert complaints == []


@pytest.mark.usefixtures("patient")
def test_a_tab_that_wants_more_history_gets_it_for_all(
    demo: Server, visit: Visit, browser_context: BrowserContext
) -> None:
    streams = Streams(browser_context)
    one, two = visit(demo), visit(demo)
    with browser_context.expect_event("request", asks_for_a_day):
        two.get_by_label("24h").check()
    last = points(two)[1]
    wait_for_a_point_after(one, last)
    wait_for_a_point_after(two, last)
    assert len(streams.asked) == 2
    expect_no_hole_and_no_repeat(two, demo)


def asks_for_a_day(request: Request) -> bool:
    _, _, since = request.url.partition("/prices/stream?since=")
    return bool(since) and int(since) < time.time() - 86_000
