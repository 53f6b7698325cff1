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
    return browser_context.new_page()


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
    stream(page, "stale", "No exchange answers.", age=4000)
    page.goto(demo.url)
    expect(page.locator("main")).to_have_attribute("data-price", "old")
    expect(page.locator("#status")).to_have_text("Stale")
    expect(page.locator("#age")).to_have_text(re.compile(r"1\s*h 6\s*min"))


def test_a_change_of_status_is_spoken_and_prices_are_not(demo: Server, page: Page) -> None:
    both = events("ok", "Fine.", PRICE) + events("degraded", "Two agree.", None)
    answer(page, "/prices/stream", both, kind="text/event-stream")
    page.goto(demo.url)
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


def test_a_server_that_wants_a_token_is_told_so_to_the_reader(demo: Server, page: Page) -> None:
    answer(page, "/sources", "{}", status=401)
    page.goto(demo.url)
    expect(page.locator("#sources-note")).to_contain_text("?access_token=")


def test_a_token_in_the_address_goes_along_to_the_stream_and_the_sources(demo: Server, page: Page) -> None:
    with (
        page.expect_request(re.compile(r"/prices/stream\?.*access_token=secret")),
        page.expect_request(re.compile(r"/sources\?access_token=secret")),
    ):
        page.goto(f"{demo.url}/?access_token=secret")


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
