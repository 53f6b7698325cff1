"""What the page makes of answers that a healthy server does not give: the network is ours here."""

import json
import re
import time
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from browser.process import Server

PRICE = {"timestamp": 1764000000, "price": 69420.25, "status": "ok", "sources": 4, "spread": 3.1, "age": 0}


def events(status: str, reason: str, price: dict[str, Any] | None) -> str:
    said = f"retry: 60000\nevent: status\ndata: {json.dumps({'status': status, 'reason': reason})}\n\n"
    return (
        said if price is None else f"{said}id: {time.time_ns() // 1_000_000}\ndata: {json.dumps(price)}\n\n"
    )


@pytest.fixture
def page(demo: Server, browser_context: BrowserContext) -> Page:
    page = browser_context.new_page()
    answer(page, "/prices/latest", "{}", status=503)  # the demo's own is another than the stream's here
    return page


def answer(page: Page, path: str, body: str, *, status: int = 200, kind: str = "application/json") -> None:
    def fulfil(route: Route) -> None:
        route.fulfill(status=status, content_type=kind, body=body)

    page.route(re.compile(rf"{path}(\?.*)?$"), fulfil)


def stream(page: Page, status: str, reason: str, age: int = 0) -> None:
    price = PRICE | {"status": status, "age": age}
    answer(page, "/prices/stream", events(status, reason, price), kind="text/event-stream")


@pytest.mark.parametrize(
    ("status", "word"), [("ok", "OK"), ("degraded", "Degraded"), ("single_source", "Single source")]
)
def test_the_status_is_a_word_with_its_reason(demo: Server, page: Page, status: str, word: str) -> None:
    stream(page, status, "The reason.")
    page.goto(demo.url)
    expect(page.locator(".verdict")).to_have_text(re.compile(rf"{word}\s+The reason\."))
    expect(page.locator("#dollars")).to_have_text("69,420")
    expect(page.locator("#cents")).to_have_text(".25")


def test_a_stale_price_looks_old_and_its_age_counts_on_from_what_the_server_says(
    demo: Server, page: Page
) -> None:
    stream(page, "stale", "No exchange answers.", age=3970)  # 50 s later it would be a minute more
    page.goto(demo.url)
    expect(page.locator("main")).to_have_attribute("data-price", "old")
    expect(page.locator("#status")).to_have_text("Stale")
    expect(page.locator("#age")).to_have_text(re.compile(r"1\s*h 6\s*min"))


def test_a_price_that_nothing_fresh_has_followed_looks_old_whatever_it_was(demo: Server, page: Page) -> None:
    """So it is after a restart without a source: the newest price was fresh when it was stored."""
    body = events("stale", "No price yet: no exchange answers.", PRICE)
    answer(page, "/prices/stream", body, kind="text/event-stream")
    page.goto(demo.url)
    expect(page.locator("main")).to_have_attribute("data-price", "old")
    expect(page.locator(".verdict")).to_have_text(re.compile(r"^\s*Stale\s+No exchange answers\.$"))
    expect(page).to_have_title("Old: 69,420.25 · BTC/USD")


def sources(page: Page, price: float | None, **more: Any) -> None:
    answer(page, "/sources", json.dumps({"recorded": False, "price": price, "reason": "The reason."} | more))


def test_a_price_older_than_the_range_is_shown_with_its_age_and_the_ranges_stay(
    demo: Server, page: Page, complaints: list[str]
) -> None:
    sources(page, 69420.25)
    now = int(time.time())
    latest = PRICE | {"id": (now - 7200) * 1000, "timestamp": now - 7200, "status": "stale", "age": 7205}
    answer(page, "/prices/latest", json.dumps(latest))
    answer(page, "/prices/stream", events("stale", "No exchange answers.", None), kind="text/event-stream")
    page.goto(demo.url)
    expect(page.locator("main")).to_have_attribute("data-price", "old")
    expect(page.locator("#dollars")).to_have_text("69,420")
    expect(page.locator("#age")).to_have_text(re.compile(r"^2\s*h$"))
    expect(page.locator(".nothing")).to_have_text("No price in the past hour.")
    page.get_by_label("6h").check()
    expect(page.locator(".nothing")).to_have_text("No price in the past 6 hours.")
    assert complaints == []


def test_a_full_house_is_called_so_and_the_price_is_shown_all_the_same(demo: Server, page: Page) -> None:
    sources(page, 69420.25)
    latest = PRICE | {"id": time.time_ns() // 1_000_000}
    answer(page, "/prices/latest", json.dumps(latest))
    answer(page, "/prices/stream", "retry: 60000\n\n", kind="text/event-stream")
    page.goto(demo.url)
    expect(page.locator("#link-words")).to_have_text("Every place is taken; trying again.")
    expect(page.locator("#dollars")).to_have_text("69,420")
    expect(page.locator(".none")).to_be_hidden()
    page.set_viewport_size({"width": 320, "height": 568})
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_in_a_full_house_the_status_is_what_the_sources_say(demo: Server, page: Page) -> None:
    sources(page, 69420.25, status="ok")
    answer(page, "/prices/latest", json.dumps(PRICE | {"id": time.time_ns() // 1_000_000}))
    page.add_init_script(STREAM)
    page.goto(demo.url)
    expect(page.locator("#status")).to_have_text("OK")
    sources(page, 69420.25, status="stale")
    page.evaluate("() => { stream.onopen(); stream.onerror(); }")
    expect(page.locator("#status")).to_have_text("Stale")
    expect(page.locator("main")).to_have_attribute("data-price", "old")


STREAM = """
  window.EventSource = class extends EventTarget {
    static CLOSED = 2;
    static opened = 0;
    readyState = 0;
    constructor() { super(); window.stream = this; EventSource.opened += 1; }
    close() {}
    price(id, price) { this.onmessage({lastEventId: String(id), data: JSON.stringify({price, status: "ok"})}); }
    say(type, data) { this.dispatchEvent(new MessageEvent(type, {data: JSON.stringify(data)})); }
  };
"""


def test_a_slow_replay_does_not_show_old_prices_as_the_price(demo: Server, page: Page) -> None:
    sources(page, 69420.25)
    now = time.time_ns() // 1_000_000
    answer(page, "/prices/latest", json.dumps(PRICE | {"id": now - 1000}))
    page.clock.install(time=now / 1000)
    page.clock.pause_at(now / 1000 + 10)  # installed, it runs on
    page.add_init_script(STREAM)
    page.goto(demo.url)
    expect(page.locator("#dollars")).to_have_text("69,420")
    expect(page.locator(".nothing")).to_be_hidden()
    page.evaluate("new MutationObserver(() => (window.changed = true)).observe(dollars, {childList: true})")
    for minutes in range(50, 40, -1):
        page.evaluate("([id, price]) => stream.price(id, price)", [now - minutes * 60_000, 60_000 + minutes])
        page.clock.run_for(800)
    expect(page.locator("#chart")).to_have_attribute("data-count", "0")
    page.evaluate("id => stream.price(id, 69420.25)", now - 1000)
    page.clock.run_for(100)
    expect(page.locator("#chart")).to_have_attribute("data-count", "11")
    assert not page.evaluate("window.changed")


def test_no_price_yet_is_not_said_before_the_first_has_come(demo: Server, page: Page) -> None:
    sources(page, 69420.25)
    page.add_init_script(STREAM)
    page.goto(demo.url)
    page.wait_for_function("() => window.stream")
    page.evaluate("stream.say('status', {status: 'ok', reason: '3 exchanges agree.'})")
    expect(page.locator("#reason")).to_have_text("3 exchanges agree.")
    expect(page.locator(".none-title")).to_be_hidden()
    page.evaluate("stream.price(Date.now(), 69420.25)")
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")


def test_a_page_that_is_opened_in_the_background_is_ready_when_it_is_looked_at(
    demo: Server, page: Page
) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => true});")
    page.goto(demo.url)
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")
    expect(page).to_have_title(re.compile("BTC/USD"))


def test_the_server_says_how_long_it_may_be_silent(demo: Server, page: Page) -> None:
    assert page.request.get(f"{demo.url}/sources").json()["heartbeat"] == 15
    sources(page, 69420.25, heartbeat=60)
    page.clock.install()
    page.add_init_script(STREAM)
    page.goto(demo.url)
    page.wait_for_function("() => window.stream")
    page.evaluate("stream.price(Date.now(), 69420.25)")
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")
    page.clock.run_for(60_000)
    assert page.evaluate("EventSource.opened") == 1


def test_a_window_that_nothing_is_left_in_shows_no_change_and_no_extremes(demo: Server, page: Page) -> None:
    sources(page, 69420.25)
    page.clock.install()
    page.add_init_script(STREAM)
    page.goto(demo.url)
    page.wait_for_function("() => window.stream")
    page.evaluate("stream.price(Date.now(), 69420.25)")
    page.get_by_label("5m").check()
    expect(page.locator("#change")).to_contain_text("$0.00")
    expect(page.locator("#extremes")).to_have_text("Low 69,420.25 High 69,420.25")
    page.clock.fast_forward(301_000)
    expect(page.locator("#change")).to_be_empty()
    expect(page.locator("#extremes")).to_be_empty()


def test_while_the_server_is_lost_its_words_fade_and_ages_count_on(demo: Server, page: Page) -> None:
    sources(
        page, 69420.25, sources=[{"name": "kraken", "state": "ok", "age": 3, "used": True, "price": 69420}]
    )
    stream(page, "ok", "The reason.")
    page.goto(demo.url)
    expect(page.locator("#sources li")).to_contain_text("Kraken")
    answer(page, "/sources", "", status=502)
    expect(page.locator("main")).to_have_attribute("data-link", "lost")
    expect(page.locator("#sources li")).to_contain_text(re.compile(r"fresh, ([6-9]|[1-5]\d)\s*s"))
    expect(page).to_have_title("Old: 69,420.25 · BTC/USD")
    colours = (
        "(...all) => new Set(all.map((one) => getComputedStyle(document.querySelector(one)).color)).size"
    )
    quiet = ["#status", "#reason", "#sources .source-price", "#sources .source-name", ".figures"]
    assert page.evaluate(f"(all) => ({colours})(...all)", quiet) == 1


def test_a_change_of_status_is_spoken_and_prices_are_not(demo: Server, page: Page) -> None:
    page.add_init_script(STREAM)
    page.goto(demo.url)
    page.wait_for_function("() => window.stream")
    page.evaluate("stream.say('status', {status: 'ok', reason: 'Fine.'})")
    page.evaluate("stream.price(Date.now(), 69420.25)")
    page.evaluate("stream.say('status', {status: 'degraded', reason: 'Two agree.'})")
    expect(page.locator("[role=status]")).to_have_text("Degraded. Two agree.")
    assert page.locator("[aria-live]").count() == 0


def test_a_source_that_says_little_or_something_new_is_shown_all_the_same(
    demo: Server, page: Page, complaints: list[str]
) -> None:
    source = {"name": "mt_gox", "state": "insolvent", "price": None, "age": None, "error": "gone", "new": [1]}
    answer(page, "/sources", json.dumps({"sources": [{}, source]}))
    page.goto(demo.url)
    expect(page.locator("#sources li").nth(1)).to_have_text(
        re.compile(r"Mt_gox.*–.*insolvent.*gone", re.DOTALL)
    )
    expect(page.locator("#recorded")).to_be_hidden()
    assert complaints == []


def test_a_source_in_trouble_says_its_own_fault_first(demo: Server, page: Page) -> None:
    said = {
        "reason": "in reserve: it re-reports the exchanges",
        "error": "HTTP 503",
        "age": 9,
        "next_try_s": 0,
    }
    sources(page, None, sources=[said | {"name": "a", "state": "error"}, said | {"name": "b", "state": "ok"}])
    page.goto(demo.url)
    expect(page.locator("#sources li").nth(0)).to_contain_text("HTTP 503")
    expect(page.locator("#sources li").nth(1)).to_contain_text("in reserve")


def test_a_store_that_fails_is_said_as_long_as_it_does(demo: Server, page: Page) -> None:
    stream(page, "ok", "The reason.")
    store = {"fault": "the disk is full", "waiting": 7, "lost": 0}
    answer(page, "/sources", json.dumps({"recorded": False, "store": store, "sources": []}))
    page.goto(demo.url)
    expect(page.locator("#unsaved")).to_have_text(
        "Prices can't be stored now: the disk is full. 7 of them wait, none is lost."
    )
    answer(page, "/sources", json.dumps({"recorded": False, "store": store | {"fault": None}, "sources": []}))
    expect(page.locator("#unsaved")).to_be_hidden()
