"""The page of a server that requires an access token."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from browser.process import Server, running
from btc_price_tracker.access.scopes import NONE
from tokens import TOKENS, write_tokens

FRESH = "main[data-price=fresh]"
TOKEN = TOKENS["all"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    write_tokens(tmp_path / "tokens")
    with running(Server("demo", store_url="memory://", tokens_file=str(tmp_path / "tokens"))) as server:
        yield server


@pytest.fixture
def page(browser_context: BrowserContext) -> Page:
    return browser_context.new_page()


def test_token_in_the_fragment_opens_the_page(server: Server, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.url}/#access_token={TOKEN}")
    page.wait_for_selector(FRESH)
    assert page.url == f"{server.url}/"
    assert not any(TOKEN in url for url in asked if "/prices/stream?" not in url)
    page.reload()
    page.wait_for_selector(FRESH)


def test_without_a_valid_token_the_page_says_so_and_stops(server: Server, page: Page) -> None:
    page.goto(server.url)
    expect(page.locator("#link-words")).to_have_text("Access token required")
    expect(page.locator("#reason")).to_contain_text("#access_token=…")
    expect(page.locator("#retry")).to_be_hidden()
    page.goto(f"{server.url}/#access_token=wrong")
    expect(page.locator("#link-words")).to_have_text("Access token required")
    page.goto(f"{server.url}/#access_token={TOKEN}")
    page.wait_for_selector(FRESH)


def test_revocation_is_said_as_well(server: Server, page: Page, tmp_path: Path) -> None:
    page.goto(f"{server.url}/#access_token={TOKEN}")
    page.wait_for_selector(FRESH)
    write_tokens(tmp_path / "tokens", all=NONE)
    expect(page.locator("#link-words")).to_have_text("Access token required")


def test_description_of_the_api_opens_with_the_same_token(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/#access_token={TOKEN}")
    page.wait_for_selector(FRESH)
    page.click("nav >> text=API")
    expect(page.locator(".route").first).to_contain_text(f"curl -N {server.url}/prices/stream")
    assert page.url == f"{server.url}/docs"
