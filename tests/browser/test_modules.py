"""The page's own parts, each by itself: imported from the server into a blank page, with time and network in hand."""

import re
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from browser.process import Server
from btc_price_tracker.web.site import folder

START = 1_700_000_000  # seconds since the epoch

FAKE = """
  class FakeEventSource extends EventTarget {
    static CLOSED = 2;
    static opened = [];
    readyState = 0;
    constructor(url) { super(); this.url = url; FakeEventSource.opened.push(this); }
    close() { this.readyState = 2; }
    fail(readyState) { this.readyState = readyState; this.onerror(); }
    price(id) { this.onmessage({lastEventId: String(id), data: JSON.stringify({price: 1, status: "ok"})}); }
    say(type, data) { this.dispatchEvent(new MessageEvent(type, {data: JSON.stringify(data)})); }
  }
  const { Connection } = await import("/page/connection.js");
  const events = [];
  const connection = new Connection((event) => events.push(event), { EventSource: FakeEventSource });
  let since = 100;
  connection.start(() => since);
  const now = () => FakeEventSource.opened.at(-1);
  const urls = () => FakeEventSource.opened.map(({url}) => url);
  const ids = () => events.filter(({type}) => type === "price").map(({id}) => id);
  const states = () => events.filter(({type}) => type === "link").map(({state}) => state);
"""


@pytest.fixture
def blank(demo: Server, chromium: Browser) -> Page:
    """A page of the server's origin without any script of its own, and with a clock that the test owns."""
    page = chromium.new_page()
    page.clock.install(time=START)
    page.route(re.compile(r"/page/\w+\.js$"), to_folder)
    page.goto(f"{demo.url}/healthz")
    page.clock.pause_at(START + 3600)  # installed, it runs on
    return page


def to_folder(route: Route) -> None:
    """The folder of the page's files is named after what is in it."""
    route.continue_(url=route.request.url.replace("/page/", f"/{folder()[0]}/"))


def with_connection(page: Page, script: str) -> Any:
    return page.evaluate(f"async () => {{ {FAKE} {script} }}")


def test_a_stream_begins_at_since_and_repeats_are_dropped(blank: Page) -> None:
    script = (
        "now().price(5); now().price(7); now().price(7); now().price(6); return [urls(), ids(), states()];"
    )
    urls, ids, states = with_connection(blank, script)
    assert urls == ["prices/stream?since=100"]
    assert ids == [5, 7]
    assert states == ["connecting", "live"]


def test_the_first_try_is_left_to_the_browser(blank: Page) -> None:
    """It knows the server's `retry:`; we can't see it."""
    urls, states = with_connection(blank, "now().price(5); now().fail(0); return [urls(), states()];")
    assert len(urls) == 1
    assert states[-1] == "reconnecting"


@pytest.mark.parametrize("failure", ["now().fail(2);", "now().fail(0); now().fail(0);"])
def test_where_the_browser_fails_we_go_on_after_the_last_id(blank: Page, failure: str) -> None:
    """It gives up after an error status, and its second failure in a row is a server that is down."""
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); {failure} window.test = {{urls, states}}; }}")
    assert blank.evaluate("test.states().at(-1)") == "waiting"
    blank.clock.run_for(1_000)
    assert blank.evaluate("test.urls()") == ["prices/stream?since=100", "prices/stream?last_event_id=5"]


def test_every_try_asks_anew_where_to_begin(blank: Page) -> None:
    """The server's time, by which that is reckoned, may be known only after the first."""
    blank.evaluate(f"async () => {{ {FAKE} since = 90; now().fail(2); window.test = {{urls}}; }}")
    blank.clock.run_for(1_000)
    assert blank.evaluate("test.urls().at(-1)") == "prices/stream?since=90"


def test_forty_seconds_of_silence_are_a_dead_stream(blank: Page) -> None:
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); window.test = {{urls, now}}; }}")
    blank.clock.run_for(35_000)
    blank.evaluate("test.now().say('heartbeat', {timestamp: 1})")
    blank.clock.run_for(39_000)
    assert len(blank.evaluate("test.urls()")) == 1
    blank.clock.run_for(10_000)
    assert blank.evaluate("test.urls().at(-1)") == "prices/stream?last_event_id=5"


def test_a_server_that_is_set_to_speak_seldom_is_not_dead(blank: Page) -> None:
    blank.evaluate(
        f"async () => {{ {FAKE} connection.heartbeat = 60; now().price(5); window.test = {{urls}}; }}"
    )
    blank.clock.run_for(150_000)
    assert len(blank.evaluate("test.urls()")) == 1
    blank.clock.run_for(10_000)
    assert len(blank.evaluate("test.urls()")) == 2


def test_a_page_that_wakes_up_does_not_wait_for_the_silence_to_end(blank: Page) -> None:
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); window.test = {{urls, connection}}; }}")
    blank.clock.run_for(6_000)
    blank.evaluate("test.connection.wake(6_000)")
    blank.clock.run_for(1_000)
    assert blank.evaluate("test.urls().at(-1)") == "prices/stream?last_event_id=5"


def test_a_glance_at_another_tab_costs_no_stream(blank: Page) -> None:
    """Between two prices there may be a minute: it says nothing of a page that was hidden for a second."""
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); window.test = {{urls, connection}}; }}")
    blank.clock.run_for(9_000)
    blank.evaluate("test.connection.wake(1_000)")
    blank.clock.run_for(1_000)
    assert len(blank.evaluate("test.urls()")) == 1


def test_a_stream_that_ends_before_it_has_said_anything_is_a_full_house(blank: Page) -> None:
    script = """
      now().onopen(); now().fail(0); now().onopen(); now().fail(0);
      now().onopen(); now().price(5); now().fail(0);
      return states();
    """
    assert with_connection(blank, script) == ["connecting", "full", "full", "live", "reconnecting"]


def test_a_server_that_has_lost_its_history_does_not_cost_the_page_its_own(blank: Page) -> None:
    """Before its first price it knows no id at all, and says that nothing up to 0 can be replayed."""
    script = "now().price(9); now().say('gap', {from: 0, to: 0}); now().price(12); return [ids(), events];"
    ids, events = with_connection(blank, script)
    assert ids == [9, 12]
    assert [event["type"] for event in events if event["type"] != "link"] == [
        "restart",
        "price",
        "gap",
        "price",
    ]


def test_a_server_whose_ids_went_back_is_followed_from_the_beginning(blank: Page) -> None:
    script = "now().price(9); now().say('gap', {from: 0, to: 3}); now().price(4); return [ids(), events];"
    ids, events = with_connection(blank, script)
    assert ids == [9, 4]
    assert [event["type"] for event in events if event["type"] != "link"] == [
        "restart",
        "price",
        "gap",
        "restart",
        "price",
    ]


def test_the_wait_doubles_up_to_thirty_seconds_and_half_of_it_is_chance(blank: Page) -> None:
    waits = blank.evaluate(
        """async () => {
          const { backoff } = await import("/page/connection.js");
          return [1, 2, 3, 9].map((n) => [backoff(n, () => 0), backoff(n, () => 1)]);
        }"""
    )
    assert waits == [[500, 1000], [1000, 2000], [2000, 4000], [15_000, 30_000]]


def with_series(page: Page, script: str) -> Any:
    return page.evaluate(
        f"""async () => {{
          const {{ Series }} = await import("/page/series.js");
          const series = new Series();
          const add = (seconds, price = 1, status = "ok") => series.append({{id: seconds * 1000, price, status}});
          {script}
        }}"""
    )


def test_a_hole_breaks_the_line_and_jitter_does_not(blank: Page) -> None:
    script = "[0, 10, 21, 30, 58, 68, 168, 178].forEach((at) => add(at)); return series.columns(0)[1];"
    assert with_series(blank, script) == [1, 1, 1, 1, 1, 1, None, 1, 1]


def test_another_interval_is_no_hole_for_ever(blank: Page) -> None:
    script = """
      for (let i = 0; i < 9; i++) add(i);
      for (let i = 1; i < 9; i++) add(9 + 10 * i);
      return series.columns(0)[1];
    """
    assert with_series(blank, script)[-4:] == [1, 1, 1, 1]


def test_a_gap_event_breaks_the_line(blank: Page) -> None:
    script = "add(0); add(10); series.gap(); add(20); return series.columns(0)[1];"
    assert with_series(blank, script) == [1, 1, None, 1]


def test_stale_prices_are_a_line_of_their_own_that_starts_where_the_fresh_one_ends(blank: Page) -> None:
    script = "add(0, 5); add(10, 6); add(20, 6, 'stale'); add(30, 7); return series.columns(0);"
    assert with_series(blank, script) == [[0, 10, 20, 30], [5, 6, None, 7], [None, 6, 6, None]]


def test_the_points_are_bounded_and_neither_the_first_nor_an_extreme_is_lost(blank: Page) -> None:
    script = """
      for (let i = 0; i < 86_400; i++) add(i, i === 777 ? 1 : i === 30_001 ? 9 : 5 + Math.sin(i));
      const prices = series.points.map(({price}) => price);
      const breaks = series.points.filter((point) => point.breaks).length;
      return [prices.length, Math.min(...prices), Math.max(...prices), series.points[0].id, series.last.id, breaks];
    """
    count, low, high, first, last, breaks = with_series(blank, script)
    assert count <= 12_000
    assert (low, high, first, last, breaks) == (1, 9, 0, 86_399_000, 0)


def test_every_hour_of_the_day_keeps_its_shape(blank: Page) -> None:
    """However often the day was thinned meanwhile: a day of seconds, of which the last hour comes whole."""
    script = """
      for (let i = 0; i < 86_400; i++) add(i, Math.sin(i));
      const hours = Array(24).fill(0);
      for (const {id} of series.points) hours[Math.floor(id / 3_600_000)] += 1;
      return hours;
    """
    hours = with_series(blank, script)
    assert min(hours) >= 100
    assert hours[-1] == 3600


def test_what_is_older_than_any_range_is_forgotten_before_anything_is_thinned(blank: Page) -> None:
    script = """
      for (let i = 0; i < 33_000; i++) add(10 * i, Math.sin(i));
      return [series.points.length, series.since(series.last.id - 86_400_000).length];
    """
    kept, day = with_series(blank, script)
    assert kept <= 12_000
    assert day == 8641


def test_a_hole_outlives_the_points_around_it(blank: Page) -> None:
    script = """
      for (let i = 0; i < 86_400; i++) if (i < 5_000 || i > 6_000) add(i, Math.sin(i));
      return series.points.filter((point) => point.breaks).length;
    """
    assert with_series(blank, script) == 1


def test_points_of_another_tab_are_taken_as_it_has_judged_them(blank: Page) -> None:
    """Their spacing was thinned; a hole by that measure is none."""
    script = """
      const point = (at) => ({id: at * 1000, price: 1, status: "ok", breaks: at === 2});
      [0, 1, 2, 3, 90, 91, 92].forEach((at) => series.append(point(at)));
      return series.columns(0)[1];
    """
    assert with_series(blank, script) == [1, 1, None, 1, 1, 1, 1, 1]


ASKING = """
  const { Asking } = await import("/page/asking.js");
  const asked = [];
  let down = false;
  globalThis.fetch = async () => {
    asked.push(Date.now());
    if (down) throw new TypeError();
    return new Response("{}", { headers: { date: new Date().toUTCString() } });
  };
  const server = { learn() {}, now: () => Date.now(), offset: 0 };
  const returns = [];
  const asking = new Asking(server, () => true, () => {}, () => returns.push(Date.now()));
  const price = () => asking.soon(Date.now());
  window.test = { asked, asking, price, returns, fail: (yes) => (down = yes) };
"""


@pytest.fixture
def asking(blank: Page) -> Page:
    """With `test.price()` as what a price of this moment does, and the times of the questions in `test.asked`."""
    blank.evaluate(f"async () => {{ {ASKING} }}")
    return blank


def questions(page: Page) -> int:
    return int(page.evaluate("test.asked.length"))


def test_sources_are_asked_once_a_price_within_a_second_of_it(asking: Page) -> None:
    for price in range(1, 4):
        asking.evaluate("test.price()")
        asking.clock.run_for(1_000)
        assert questions(asking) == price
        asking.clock.run_for(9_000)
        assert questions(asking) == price


def test_sources_are_asked_once_a_second_at_most(asking: Page) -> None:
    for _ in range(50):
        asking.evaluate("test.price()")
        asking.clock.run_for(100)
    times = asking.evaluate("test.asked")
    assert 4 <= len(times) <= 6
    assert min(later - earlier for earlier, later in pairwise(times)) >= 999  # the fake clock rounds


def test_what_an_answer_knows_already_is_not_asked_again(asking: Page) -> None:
    asking.evaluate("test.asking.link({state: 'connecting'})")
    asking.evaluate("test.asking.soon(Date.now() - 1)")
    asking.clock.run_for(10_000)
    assert questions(asking) == 1


def test_a_price_that_comes_while_an_answer_is_on_its_way_is_asked_about(asking: Page) -> None:
    asking.evaluate(
        """() => {
          globalThis.fetch = () => new Promise((done) => {
            test.asked.push(Date.now());
            test.answer = () => done(new Response("{}", { headers: { date: new Date().toUTCString() } }));
          });
        }"""
    )
    asking.evaluate("test.price()")
    asking.clock.run_for(1_000)
    asking.evaluate("test.price()")
    asking.clock.run_for(10)
    asking.evaluate("test.answer()")
    asking.clock.run_for(2_000)
    assert questions(asking) == 2


def test_while_the_stream_is_down_the_server_is_asked_until_it_returns(asking: Page) -> None:
    asking.evaluate("test.fail(true); test.asking.link({state: 'waiting'})")
    asking.clock.run_for(9_000)
    assert questions(asking) == 3
    asking.evaluate("test.fail(false)")
    asking.clock.run_for(3_000)
    assert len(asking.evaluate("test.returns")) == 1
    asking.evaluate("test.asking.link({state: 'live'})")
    asking.clock.run_for(30_000)
    assert questions(asking) == 4


def test_a_span_is_told_in_a_unit_of_which_it_has_two(blank: Page) -> None:
    spans = {
        1: "second",
        59: "59 seconds",
        90: "90 seconds",
        120: "2 minutes",
        7140: "119 minutes",
        7200: "2 hours",
    }
    script = (
        "async (spans) => { const { coarse } = await import('/page/format.js'); return spans.map(coarse); }"
    )
    assert blank.evaluate(script, list(spans)) == list(spans.values())
