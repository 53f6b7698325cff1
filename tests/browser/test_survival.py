"""The page lives through restarts, and its tabs share one stream."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.process import Server, running

pytestmark = pytest.mark.proof

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


def test_page_resumes_without_gap_after_server_kill(visit: Visit, tmp_path: Path) -> None:
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


class Joined:
    """How many streams have been opened on a server since."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = self._total()

    def _total(self) -> int:
        return self._server.metric("btc_streams_opened_total")

    @property
    def streams(self) -> int:
        return self._total() - self._before


def wait_for_streams(page: Page, server: Server, number: int) -> None:
    """Until so many are open on a server that only this test visits."""
    while server.metric("btc_streams_open") != number:
        page.wait_for_timeout(50)


def test_two_tabs_share_one_stream(demo: Server, visit: Visit) -> None:
    joined = Joined(demo)
    one, two = visit(demo), visit(demo)
    last = points(two)[1]
    wait_for_a_point_after(one, last)
    wait_for_a_point_after(two, last)
    assert joined.streams == 1
    expect_no_hole_and_no_repeat(two, demo)


def test_many_tabs_share_one_stream_over_http_1(demo: Server, browser_context: BrowserContext) -> None:
    """Where the context is not secure: browsers allow six connections to a server over HTTP/1.1."""
    joined = Joined(demo)
    for _ in range(7):
        page = browser_context.new_page()
        page.goto(demo.plain_url)
        expect(page.locator("main")).to_have_attribute("data-price", "fresh")
    assert not page.evaluate("isSecureContext")
    assert joined.streams == 1


def test_sources_arrive_on_the_stream_without_requests(
    demo: Server, visit: Visit, browser_context: BrowserContext
) -> None:
    asked: list[str] = []
    browser_context.on("request", lambda request: asked.append(request.url))
    page = visit(demo)
    wait_for_a_point_after(page, points(page)[1])
    expect(page.locator("#sources li")).to_have_count(4)
    assert [url for url in asked if "/sources" in url and "/page/" not in url] == []


def test_stream_outlives_the_tab_that_opened_it(demo: Server, visit: Visit, complaints: list[str]) -> None:
    joined = Joined(demo)
    one, two = visit(demo), visit(demo)
    last = points(two)[1]
    one.close()
    wait_for_a_point_after(two, last)
    assert joined.streams == 1
    expect_no_hole_and_no_repeat(two, demo)
    assert complaints == []


def test_longer_history_is_shared_by_all_tabs(demo: Server, visit: Visit) -> None:
    joined = Joined(demo)
    one, two = visit(demo), visit(demo)
    two.get_by_label("24h").check()
    last = points(two)[1]
    wait_for_a_point_after(one, last)
    wait_for_a_point_after(two, last)
    while joined.streams < 2:
        two.wait_for_timeout(50)
    first = points(two)[0]
    expect(one.locator("#chart")).to_have_attribute("data-first", str(first))
    assert joined.streams == 2
    expect_no_hole_and_no_repeat(two, demo)


def test_without_shared_workers_each_tab_owns_a_stream(browser_context: BrowserContext, visit: Visit) -> None:
    browser_context.add_init_script("delete globalThis.SharedWorker;")
    with running(Server("demo", store_url="memory://")) as server:
        one, two = visit(server), visit(server)
        assert server.metric("btc_streams_open") == 2
        one.goto("about:blank")
        wait_for_streams(one, server, 1)
        one.go_back()
        expect(one.locator("main")).to_have_attribute("data-price", "fresh")
        wait_for_a_point_after(two, points(two)[1])
        wait_for_streams(one, server, 2)
        expect_no_hole_and_no_repeat(two, server)
