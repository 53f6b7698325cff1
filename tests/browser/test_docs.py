"""The description of the API, for people."""

from playwright.sync_api import BrowserContext, expect

from browser.process import Server


def test_every_documented_route_is_shown_stream_first(
    demo: Server, browser_context: BrowserContext, complaints: list[str]
) -> None:
    page = browser_context.new_page()
    with page.expect_response("**/openapi.json") as response:
        page.goto(f"{demo.url}/docs")
    paths = response.value.json()["paths"]
    expect(page.locator(".route")).to_have_count(sum(map(len, paths.values())))
    expect(page.locator(".route").first).to_contain_text("GET /prices/stream")
    expect(page.locator(".route").first).to_contain_text(f"curl -N {demo.url}/prices/stream")
    assert complaints == []
