"""What a reader sees."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from browser.process import Server, running

Visit = Callable[[Server], Page]

SCREENS = [(320, 568), (360, 640), (844, 390), (820, 1180), (1600, 900), (3840, 2160)]


SETTLED = """() => {
  const chart = document.querySelector("#chart");
  return chart.clientWidth === chart.querySelector("canvas").clientWidth;
}"""


def shown_price(page: Page) -> str:
    return page.inner_text("#dollars") + page.inner_text("#cents")


def test_price_updates_in_page_and_title(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    first = shown_price(page)
    assert re.fullmatch(r"\d{2},\d{3}\.\d\d", first)
    expect(page.locator("#price")).not_to_contain_text(first)
    expect(page).to_have_title(re.compile(r"^\d{2},\d{3}\.\d\d · BTC/USD$"))


def test_chart_points_are_the_streamed_prices(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    expect(page.locator("#chart canvas")).to_be_visible()
    data = page.locator("#chart").evaluate("chart => ({...chart.dataset})")
    first, last = int(data["first"]), int(data["last"])
    ids = [i for i in demo.stream_ids(first // 1000, last) if i >= first]
    assert (ids[0], ids[-1], len(ids)) == (first, last, int(data["count"]))


def test_recorded_prices_are_called_recorded(demo: Server, visit: Visit) -> None:
    expect(visit(demo).locator("#recorded")).to_contain_text("Recorded prices: Coinbase")


def test_each_source_row_has_price_and_deviation(demo: Server, visit: Visit) -> None:
    lines = visit(demo).locator("#sources li")
    expect(lines).to_have_count(4)
    expect(lines.nth(0)).to_contain_text("Coinbase")
    expect(lines.nth(0)).to_contain_text(
        re.compile(r"fresh.*\d{2},\d{3}\.\d\d.*bp|\d{2},\d{3}\.\d\d.*fresh.*bp", re.DOTALL)
    )


def test_status_age_spread_and_sources_are_shown(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    expect(page.locator(".standing")).to_contain_text(re.compile(r"Age\s*\d+\s*s"))
    expect(page.locator(".standing")).to_contain_text(re.compile(r"Spread\s*±\s*\$\d+\.\d\d"))
    expect(page.locator(".standing")).to_contain_text(re.compile(r"Sources\s*\d"))
    expect(page.locator("#status")).to_have_text(re.compile("OK|Degraded|Single source"))


def test_page_violates_no_csp_and_logs_no_errors(demo: Server, visit: Visit, complaints: list[str]) -> None:
    page = visit(demo)
    page.get_by_label("24h").check()
    page.locator("#theme").click()
    page.locator("#chart").hover()
    expect(page.locator(".reading")).to_be_visible()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_no_screen_is_too_small_or_too_large(demo: Server, visit: Visit, scheme: str) -> None:
    page = visit(demo)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for width, height in SCREENS:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(SETTLED)
        too_wide = "document.documentElement.scrollWidth > innerWidth"
        assert not page.evaluate(too_wide), f"{width}×{height} scrolls sideways"
        price = page.locator("#price .figures").bounding_box()
        assert price is not None
        assert price["x"] >= 0
        assert price["x"] + price["width"] <= width
        chart = page.locator("#chart canvas").bounding_box()
        assert chart is not None
        assert chart["x"] + chart["width"] <= width


@pytest.mark.parametrize(
    "size", [(390, 844), (800, 480), (1024, 600), (1366, 640), (1920, 1080), (3440, 1440)]
)
def test_the_chart_is_seen_without_scrolling(demo: Server, visit: Visit, size: tuple[int, int]) -> None:
    width, height = size
    page = visit(demo)
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(SETTLED)
    chart = page.locator("#chart").bounding_box()
    assert chart is not None
    assert chart["height"] >= 120
    assert chart["y"] + chart["height"] <= height
    if width >= 1024:
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_large_screen_shows_the_price_without_scrolling(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    page.set_viewport_size({"width": 3840, "height": 2160})
    price = page.locator("#price .figures").bounding_box()
    assert price is not None
    assert price["width"] > 3840 / 2
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_the_choice_of_dark_or_light_is_remembered(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Switch between dark and light").click()
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.reload()
    assert page.evaluate(paper) == dark == "rgb(14, 13, 12)"


def test_the_range_is_chosen_by_keyboard_and_remembered(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    page.get_by_label("1h").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("6h")).to_be_checked()
    page.reload()
    expect(page.get_by_label("6h")).to_be_checked()


def test_the_chart_is_read_by_arrow_keys(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    expect(page.locator("#chart canvas")).to_be_visible()
    page.locator("#chart").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".reading")).to_have_text(re.compile(r"\$\d{2},\d{3}\.\d\d \d\d:\d\d:\d\d"))


def test_price_label_is_on_the_axis_at_the_line_end(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    places = """() => [".head", ".level b"].map((one) => {
      const { top, height } = document.querySelector(one).getBoundingClientRect();
      return top + height / 2;
    })"""
    expect(page.locator(".level b")).to_be_visible()
    head, tag = page.evaluate(places)
    assert abs(head - tag) < 2
    texts = """() => [".level b", "#price"].map((one) => document.querySelector(one).innerText)"""
    label, price = page.evaluate(texts)  # at one moment: the next price may come in the next
    assert label in price


def test_keyboard_selection_survives_new_prices(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    chart = page.get_by_role("slider", name="Line chart of the price")
    page.wait_for_function("() => document.querySelector('#chart').dataset.count > 3")
    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    read = page.locator(".reading").inner_text()
    count = chart.get_attribute("data-count")
    page.wait_for_function(
        "count => document.querySelector('#chart').dataset.count > Number(count)", arg=count
    )
    expect(page.locator(".reading")).to_have_text(read)
    price, _, at = read.partition(" ")
    expect(chart).to_have_attribute("aria-valuetext", f"{price} at {at}")
    expect(chart).to_have_attribute("aria-valuenow", "1")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-valuenow", "0")
    page.keyboard.press("End")
    last = chart.get_attribute("aria-valuemax")
    assert last is not None
    expect(chart).to_have_attribute("aria-valuenow", last)
    page.keyboard.press("PageDown")
    expect(chart).not_to_have_attribute("aria-valuenow", last)


def test_forced_colors_keep_every_shape_visible(
    demo: Server, visit: Visit, browser_context: BrowserContext
) -> None:
    page = visit(demo)
    page.emulate_media(forced_colors="active")
    page.reload()
    expect(page.locator("#sources li")).to_have_count(4)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for shape in (".dot", ".scale i", ".head"):
        ground = page.locator(shape).first.evaluate("shape => getComputedStyle(shape).backgroundColor")
        assert ground != paper, shape
    chosen = page.locator("#ranges input:checked + span")
    assert chosen.evaluate("span => getComputedStyle(span).boxShadow") != "none"


def test_theme_color_follows_the_chosen_scheme(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Switch between dark and light").click()
    applied = """[...document.querySelectorAll("meta[name=theme-color]")]
      .filter(({media}) => matchMedia(media).matches).map(({content}) => content)"""
    assert page.evaluate(applied) == ["#0e0d0c"]


LABELS = """() => {  // each is there for two seconds only
  const button = document.querySelector("#copy");
  window.labels = [];
  new MutationObserver(() => labels.push(button.textContent)).observe(button, {childList: true});
}"""


def test_denied_clipboard_selects_the_line(demo: Server, visit: Visit, complaints: list[str]) -> None:
    page = visit(demo)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('forbidden')); }")
    page.evaluate(LABELS)
    page.get_by_role("button", name="Copy").click()
    page.wait_for_function("() => labels.includes('Selected')")
    assert page.evaluate("String(getSelection())") == page.locator("#curl").inner_text()
    assert complaints == []


def test_without_scripts_nothing_is_promised(demo: Server, chromium: Browser) -> None:
    page = chromium.new_page(java_script_enabled=False)
    page.goto(demo.url)
    expect(page.locator(".noscript")).to_be_visible()
    expect(page.get_by_text("Connecting…")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_has_sufficient_contrast(demo: Server, visit: Visit, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for the line and the focus ring."""
    page = visit(demo)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for name, least in {"ink": 4.5, "quiet": 4.5, "up": 4.5, "down": 4.5, "warn": 4.5, "accent": 3}.items():
        assert page.evaluate(CONTRAST, f"--{name}") >= least, f"--{name} on --paper"


CONTRAST = """name => {
  const luminance = (colour) => {
    document.body.style.color = `var(${colour})`;
    const linear = getComputedStyle(document.body).color.match(/[\\d.]+/g).map(Number)
      .map((byte) => byte / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    document.body.style.color = "";
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const [low, high] = [luminance(name), luminance("--paper")].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}"""


def test_reduced_motion_is_respected(demo: Server, visit: Visit) -> None:
    page = visit(demo)
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function("() => document.getAnimations().length === 0")  # of the price before
    before = shown_price(page)
    expect(page.locator("#price")).not_to_contain_text(before)
    assert page.evaluate("document.getAnimations().length") == 0


SHIFTS = """
  window.shift = 0;
  new PerformanceObserver((list) => list.getEntries().forEach(({value}) => (window.shift += value)))
    .observe({type: "layout-shift", buffered: true});
"""


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_nothing_moves_while_the_page_loads(
    demo: Server, browser_context: BrowserContext, visit: Visit, size: tuple[int, int]
) -> None:
    """Core Web Vitals call a cumulative layout shift of less than 0.1 good."""
    browser_context.add_init_script(SHIFTS)
    browser_context.on("page", lambda page: page.set_viewport_size({"width": size[0], "height": size[1]}))
    page = visit(demo)
    expect(page.locator("#sources li")).to_have_count(4)
    expect(page.locator("#extremes")).to_contain_text("High")
    expect(page.locator("#change")).to_contain_text("past")
    assert page.evaluate("window.shift") < 0.02


@pytest.mark.parametrize("ahead", [7_200, 1_800])
def test_fast_clock_keeps_price_and_history(
    demo: Server, browser_context: BrowserContext, ahead: int
) -> None:
    """Two hours ahead, the past hour lies in the server's future, and half an hour ahead, the half of it is missing."""
    page = browser_context.new_page()
    page.add_init_script("delete globalThis.SharedWorker;")  # which has a clock of its own
    page.clock.install(time=time.time() + ahead)
    with page.expect_request(
        lambda request: int(request.url.partition("&since=")[2] or time.time()) < time.time() - 3_590
    ):
        page.goto(demo.url)
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")
    expect(page.locator("#age")).to_have_text(re.compile(r"^\d\s*s$"))


def test_page_works_below_a_proxy_path(
    demo: Server, browser_context: BrowserContext, complaints: list[str]
) -> None:
    def strip(route: Route) -> None:
        route.continue_(url=route.request.url.replace("/btc/", "/"))

    browser_context.route("**/btc/**", strip)
    page = browser_context.new_page()
    page.goto(f"{demo.url}/btc/")
    expect(page.locator("main")).to_have_attribute("data-price", "fresh")
    expect(page.locator("#chart canvas")).to_be_visible()
    expect(page.locator("#curl")).to_have_text(f"curl -N {demo.url}/btc/prices/stream")
    page.get_by_role("link", name="API").click()
    expect(page.locator(".route").first).to_contain_text(f"curl -N {demo.url}/btc/prices/stream")
    page.get_by_role("link", name="The price").click()
    expect(page).to_have_url(f"{demo.url}/btc/")
    assert complaints == []


def test_without_a_price_the_page_explains_and_names_the_demo(browser_context: BrowserContext) -> None:
    """Port 9 (discard) of this machine: nobody answers there."""
    dead = Server("serve", store_url="memory://", sources="coinbase", coinbase_url="http://127.0.0.1:9")
    with running(dead):
        page = browser_context.new_page()
        page.goto(dead.url)
        expect(page.locator(".none-title")).to_have_text("Waiting for a price")
        expect(page.locator("#none-reason")).to_contain_text("coinbase")
        expect(page.locator(".none")).to_contain_text("make demo")
        expect(page.locator("#sources li")).to_contain_text("Coinbase")
