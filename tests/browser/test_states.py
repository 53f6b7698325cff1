"""What the page makes of a stream and of its end: the stream, the network and the time are ours here.

The shared stream runs in the page, as it does where there are no SharedWorkers, so that it is within reach.
"""

import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from browser.process import Server

NOW = 1_764_000_000_000  # ms
SOURCE = {"name": "kraken", "state": "ok", "age": 1, "used": True, "price": 69420, "deviation_bp": 0.1}
SOURCES: dict[str, Any] = {
    "timestamp": NOW // 1000,
    "recorded": False,
    "price": 69420.25,
    "interval": 10,
    "heartbeat": 15,
    "store": {"fault": None, "waiting": 0, "lost": 0},
    "sources": [SOURCE],
}
STREAM = """
  delete globalThis.SharedWorker;
  window.EventSource = class extends EventTarget {
    static CLOSED = 2;
    readyState = 0;
    constructor() { super(); window.stream = this; }
    close() {}
    price(id, data) { this.onmessage({lastEventId: String(id), data: JSON.stringify(data)}); }
    say(type, data) { this.dispatchEvent(new MessageEvent(type, {data: JSON.stringify(data)})); }
    end() { this.onerror(); }
    die() { this.readyState = 2; this.onerror(); }
  };
"""
ICON = "() => document.querySelector('link[rel=icon]').getAttribute('href')"
COLOURED = """() => {
  const probe = Object.assign(document.createElement("i"), {style: "color: var(--up)"});
  document.body.append(probe);
  const up = getComputedStyle(probe).color;
  probe.remove();
  const isUp = (element) => {
    const { color, backgroundColor } = getComputedStyle(element);
    return backgroundColor === up || (color === up && element.innerText);
  };
  return [...document.querySelectorAll("body *")].filter(isUp).map(({className, id}) => id || className);
}"""


@pytest.fixture
def page(demo: Server, browser_context: BrowserContext) -> Page:
    """The page with a stream that has opened and brought nothing; its clock stands still."""
    page = browser_context.new_page()
    page.emulate_media(reduced_motion="reduce")
    answer(page, "/prices/latest", None)
    open_page(page, demo)
    return page


def open_page(page: Page, server: Server) -> None:
    page.clock.install(time=NOW / 1000 - 1)
    page.clock.pause_at(NOW / 1000)
    page.add_init_script(STREAM)
    page.goto(server.url)
    page.wait_for_function("() => window.stream")


def answer(page: Page, path: str, document: object) -> None:
    """Answer as of the page's own time; 503 without a document."""

    def fulfil(route: Route) -> None:
        route.fulfill(status=503 if document is None else 200, json=document or {})

    page.route(re.compile(rf"{path}(\?.*)?$"), fulfil)


def now(page: Page) -> int:
    return int(page.evaluate("Date.now()"))


DELIVERED = """() => new Promise((done) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = done;
  port2.postMessage(0);
})"""


def go_on(page: Page, seconds: float = 0.1) -> None:
    """Let time pass; what the shared stream and the page say to each other meanwhile is delivered and shown."""
    page.evaluate(DELIVERED)
    page.clock.run_for(round(seconds * 1000))
    page.evaluate(DELIVERED)
    page.clock.run_for(10)


def say(page: Page, name: str, **data: Any) -> None:
    page.evaluate("([name, data]) => stream.say(name, data)", [name, data])
    go_on(page)


def say_status(page: Page, status: str = "ok", reason: str = "3 exchanges agree.") -> None:
    say(page, "status", status=status, reason=reason, timestamp=now(page) // 1000)


def say_sources(page: Page, **changed: Any) -> None:
    say(page, "sources", **SOURCES | {"timestamp": now(page) // 1000} | changed)


def say_price(page: Page, price: float = 69420.25, *, ago: int = 0, **changed: Any) -> None:
    data = {"price": price, "status": "ok", "sources": 3, "spread": 3.1, "age": 1} | changed
    page.evaluate("([id, data]) => stream.price(id, data)", [now(page) - 1000 * ago, data])
    go_on(page)


def be_live(page: Page) -> None:
    """A price of a minute ago and one of now, from sources that agree."""
    say_status(page)
    say_sources(page)
    say_price(page, 69400, ago=10)
    say_price(page)
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")


def expect_nothing_fresh(page: Page) -> None:
    expect(page.locator("main")).to_have_attribute("data-price", "old")
    expect(page).to_have_title("Old: 69,420.25 · BTC/USD")
    assert page.evaluate(COLOURED) == []
    assert "f7931a" not in page.evaluate(ICON)
    assert page.locator("#status").inner_text() != "OK"
    assert page.locator("#link-words").inner_text() != "Connected"


@pytest.mark.parametrize(
    ("status", "word"), [("ok", "OK"), ("degraded", "Degraded"), ("single_source", "Single source")]
)
def test_status_is_shown_with_its_reason(page: Page, status: str, word: str) -> None:
    say_status(page, status, "The reason.")
    say_sources(page)
    say_price(page, status=status)
    expect(page.locator(".verdict")).to_have_text(re.compile(rf"{word}\s+The reason\."))
    expect(page.locator("#dollars")).to_have_text("69,420")
    expect(page.locator("#cents")).to_have_text(".25")


def test_a_live_price_is_marked_as_such(page: Page) -> None:
    be_live(page)
    expect(page).to_have_title("69,420.25 · BTC/USD")
    expect(page.locator("#link-words")).to_have_text("Connected")
    assert page.evaluate(COLOURED) == ["dot", "", ""]  # of the change, the amount and the share


def test_lost_server_is_not_shown_as_fresh(page: Page) -> None:
    be_live(page)
    page.evaluate("stream.end()")
    go_on(page, 2.5)
    expect(page.locator("#link-words")).to_have_text("Reconnecting…")
    page.evaluate("stream.die()")
    go_on(page)
    expect_nothing_fresh(page)
    expect(page.locator(".verdict")).to_have_text(re.compile(r"Not live\s+No connection to the server\."))
    expect(page.locator("#sources li")).to_contain_text(re.compile(r"last known [2-9]\s*s ago"))
    go_on(page, 20)
    expect(page.locator("#age")).to_have_text(re.compile(r"^2\d\s*s$"))
    expect(page.locator("#sources li")).to_contain_text(re.compile(r"last known 2\d\s*s ago"))
    quiet = ["#reason", "#sources .source-price", "#sources .source-name", ".figures"]
    colours = "(all) => new Set(all.map((one) => getComputedStyle(document.querySelector(one)).color)).size"
    assert page.evaluate(colours, quiet) == 1


def test_silent_server_is_not_shown_as_fresh(page: Page) -> None:
    be_live(page)
    go_on(page, 21)
    expect_nothing_fresh(page)
    expect(page.locator("#link-words")).to_have_text("Server not responding")


def test_dead_sources_are_not_shown_as_fresh(page: Page) -> None:
    be_live(page)
    say_sources(page, sources=[SOURCE | {"state": "error", "error": "connection reset"}])
    expect_nothing_fresh(page)
    expect(page.locator(".verdict")).to_have_text(re.compile(r"Stale\s+No source is responding\."))
    expect(page.locator("#link-words")).to_have_text("No fresh price")


def test_when_prices_stop_coming_nothing_stays_green(page: Page) -> None:
    be_live(page)
    for _ in range(4):
        go_on(page, 10)
        say(page, "heartbeat", timestamp=now(page) // 1000)
    expect_nothing_fresh(page)
    expect(page.locator("#reason")).to_have_text(re.compile(r"^No new price for (39|40)\s*s\.$"))


def test_next_price_restores_freshness(page: Page) -> None:
    be_live(page)
    page.evaluate("stream.die()")
    go_on(page, 10)
    expect_nothing_fresh(page)
    say_status(page)
    say_price(page, 69421)
    say_sources(page)
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")
    expect(page.locator("#status")).to_have_text("OK")
    expect(page.locator("#link-words")).to_have_text("Connected")
    assert "f7931a" in page.evaluate(ICON)


def test_reconnecting_to_another_server_changes_only_the_connection(page: Page) -> None:
    """A stream that the server ends for another to take over comes back within its `retry:`."""
    be_live(page)
    page.evaluate("stream.end()")
    go_on(page, 5)
    expect(page.locator("#link-words")).to_have_text("Reconnecting…")
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")
    say_price(page, 69421)
    expect(page.locator("#link-words")).to_have_text("Connected")


def test_stale_price_looks_old_and_ages_from_the_server_value(page: Page) -> None:
    say_status(page, "stale", "No exchange answers.")
    say_sources(page)
    say_price(page, status="stale", age=3970)
    expect(page.locator("main")).to_have_attribute("data-price", "old")
    expect(page.locator("#status")).to_have_text("Stale")
    expect(page.locator("#age")).to_have_text(re.compile(r"^1\s*h 6\s*min$"))
    page.clock.fast_forward(50_000)
    expect(page.locator("#age")).to_have_text(re.compile(r"^1\s*h 7\s*min$"))


def test_price_without_successor_looks_old(page: Page) -> None:
    """So it is after a restart without a source: the newest price was fresh when it was stored."""
    say_status(page, "stale", "No price yet: no exchange answers.")
    say_sources(page)
    say_price(page)
    expect(page.locator("main")).to_have_attribute("data-price", "old")
    expect(page.locator(".verdict")).to_have_text(
        re.compile(r"^\s*Stale\s+No price yet: no exchange answers\.$")
    )
    expect(page).to_have_title("Old: 69,420.25 · BTC/USD")


def test_age_is_quote_age_plus_elapsed_time(page: Page) -> None:
    say_status(page)
    say_sources(page)
    say_price(page, age=7)
    go_on(page, 5)
    expect(page.locator("#age")).to_have_text(re.compile(r"^1[12]\s*s$"))


def test_price_older_than_the_range_is_shown_with_its_age(
    demo: Server, browser_context: BrowserContext, complaints: list[str]
) -> None:
    page = browser_context.new_page()
    latest = {"id": NOW - 7_200_000, "price": 69420.25, "status": "stale", "age": 7205}
    answer(page, "/prices/latest", latest)
    open_page(page, demo)
    say_status(page, "stale", "No exchange answers.")
    say_sources(page)
    expect(page.locator("main")).to_have_attribute("data-price", "old")
    expect(page.locator("#dollars")).to_have_text("69,420")
    expect(page.locator("#age")).to_have_text(re.compile(r"^2\s*h$"))
    expect(page.locator(".nothing")).to_have_text("No price in the past hour.")
    page.get_by_label("6h").check()
    go_on(page)
    expect(page.locator(".nothing")).to_have_text("No price in the past 6 hours.")
    assert complaints == []


def test_at_max_clients_the_page_still_shows_the_price(page: Page) -> None:
    answer(page, "/prices/latest", {"id": now(page), "price": 69420.25, "status": "ok", "age": 1})
    with page.expect_response("**/prices/latest"):
        page.evaluate("() => { stream.onopen(); stream.end(); }")
    while page.locator("#dollars").inner_text() != "69,420":  # until the page has read the response
        go_on(page)
    expect(page.locator("#link-words")).to_have_text("Server at its stream limit. Retrying.")
    expect_nothing_fresh(page)
    expect(page.locator(".none")).to_be_hidden()
    page.set_viewport_size({"width": 320, "height": 568})
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_loading_is_not_shown_as_no_price(page: Page) -> None:
    say_status(page)
    say_sources(page)
    expect(page.locator("#reason")).to_have_text("3 exchanges agree.")
    expect(page.locator(".none-title")).to_be_hidden()
    say_price(page)
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")


def test_server_without_a_price_is_not_shown_as_lost(page: Page) -> None:
    say_status(page, "stale", "No price yet: no exchange answers.")
    say_sources(page, price=None, sources=[SOURCE | {"state": "error", "error": "gone", "price": None}])
    expect(page.locator(".none-title")).to_be_visible()
    expect(page.locator("#none-reason")).to_have_text("No price yet: no exchange answers.")
    expect(page.locator("#link-words")).to_have_text("No price yet")
    expect(page).to_have_title("No price · BTC/USD")
    assert page.evaluate(COLOURED) == []


def test_background_page_is_ready_when_shown(demo: Server, browser_context: BrowserContext) -> None:
    page = browser_context.new_page()
    page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => true});")
    page.goto(demo.url)
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")
    expect(page).to_have_title(re.compile("BTC/USD"))


def test_empty_range_shows_no_change_and_no_extremes(page: Page) -> None:
    say_status(page)
    say_sources(page)
    say_price(page, ago=5)
    page.get_by_label("5m").check()
    go_on(page)
    expect(page.locator("#change")).to_contain_text("$0.00")
    expect(page.locator("#extremes")).to_have_text("Low 69,420.25 High 69,420.25")
    page.clock.fast_forward(301_000)
    expect(page.locator("#change")).to_be_empty()
    expect(page.locator("#extremes")).to_be_empty()


def test_screen_readers_announce_status_and_not_prices(page: Page) -> None:
    be_live(page)
    expect(page.locator("[role=status]")).to_be_empty()
    say_status(page, "degraded", "Two agree.")
    expect(page.locator("[role=status]")).to_have_text("Degraded. Two agree.")
    say_price(page, 69421)
    expect(page.locator("[role=status]")).to_have_text("Degraded. Two agree.")
    page.evaluate("stream.die()")
    go_on(page)
    expect(page.locator("[role=status]")).to_have_text("Connection to the server lost. Reconnecting.")
    say_price(page, 69422)
    expect(page.locator("[role=status]")).to_have_text("Reconnected.")
    assert page.locator("[aria-live]").count() == 0


def test_sources_with_missing_or_unknown_fields_are_shown(page: Page, complaints: list[str]) -> None:
    source = {"name": "mt_gox", "state": "insolvent", "price": None, "age": None, "error": "gone", "new": [1]}
    say(page, "sources", sources=[{}, source])
    expect(page.locator("#sources li").nth(1)).to_have_text(
        re.compile(r"Mt_gox.*–.*insolvent.*gone", re.DOTALL)
    )
    expect(page.locator("#recorded")).to_be_hidden()
    assert [each for each in complaints if "503" not in each] == []


def test_failing_source_shows_its_error_first(page: Page) -> None:
    said = {
        "reason": "in reserve: it re-reports the exchanges",
        "error": "HTTP 503",
        "age": 9,
        "next_try_s": 0,
    }
    say_sources(page, sources=[said | {"name": "a", "state": "error"}, said | {"name": "b", "state": "ok"}])
    expect(page.locator("#sources li").nth(0)).to_contain_text("HTTP 503")
    expect(page.locator("#sources li").nth(1)).to_contain_text("in reserve")


def test_store_failure_is_shown_while_it_lasts(page: Page) -> None:
    store = {"fault": "the disk is full", "waiting": 7, "lost": 0}
    say_sources(page, store=store)
    expect(page.locator("#unsaved")).to_have_text(
        "Prices can't be stored: the disk is full. 7 are queued, none are lost."
    )
    say_sources(page, store=store | {"fault": None})
    expect(page.locator("#unsaved")).to_be_hidden()
