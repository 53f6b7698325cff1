"""The page's own parts, each by itself: imported from the server into a blank page, with time and network in hand."""

from typing import Any

import pytest
from playwright.sync_api import Page

from browser.conftest import START

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
  const root = "http://tracker.test/btc/";
  const connection = new Connection((event) => events.push(event), root, FakeEventSource);
  let since = 100;
  connection.start(() => since);
  const now = () => FakeEventSource.opened.at(-1);
  const urls = () => FakeEventSource.opened.map(({url}) => url.replace(`${root}prices/stream?with=sources&`, ""));
  const ids = () => events.filter(({type}) => type === "price").map(({id}) => id);
  const links = () => events.filter(({type}) => type === "link");
  const states = () => events.filter(({type}) => type === "link").map(({state}) => state);
"""


def with_connection(page: Page, script: str) -> Any:
    return page.evaluate(f"async () => {{ {FAKE} {script} }}")


def test_stream_starts_at_since_and_drops_duplicates(blank: Page) -> None:
    script = (
        "now().price(5); now().price(7); now().price(7); now().price(6); return [urls(), ids(), states()];"
    )
    urls, ids, states = with_connection(blank, script)
    assert urls == ["since=100"]
    assert ids == [5, 7]
    assert states == ["connecting", "live"]


def test_the_first_try_is_left_to_the_browser(blank: Page) -> None:
    """It knows the server's `retry:`; we can't see it."""
    urls, links = with_connection(blank, "now().price(5); now().fail(0); return [urls(), links()];")
    assert len(urls) == 1
    assert links[-1] == {"type": "link", "state": "reconnecting", "wait": 0, "failures": 0}


def test_hanging_connect_is_aborted_and_retried(blank: Page) -> None:
    """It has no `retry:` from the server then, and comes back after the same time as every other browser."""
    links = with_connection(blank, "now().fail(0); return links();")
    assert (links[-1]["state"], links[-1]["failures"]) == ("waiting", 1)
    assert 2000 <= links[-1]["wait"] <= 5000


@pytest.mark.parametrize("failure", ["now().fail(2);", "now().fail(0); now().fail(0);"])
def test_failed_event_source_resumes_after_the_last_id(blank: Page, failure: str) -> None:
    """It gives up after an error status, and its second failure in a row is a server that is down."""
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); {failure} window.test = {{urls, states}}; }}")
    assert blank.evaluate("test.states().at(-1)") == "waiting"
    blank.clock.run_for(5_000)
    assert blank.evaluate("test.urls()") == ["since=100", "last_event_id=5"]


def test_every_try_asks_anew_where_to_begin(blank: Page) -> None:
    """The server's time, by which that is reckoned, may be known only after the first."""
    blank.evaluate(f"async () => {{ {FAKE} since = 90; now().fail(2); window.test = {{urls}}; }}")
    blank.clock.run_for(5_000)
    assert blank.evaluate("test.urls().at(-1)") == "since=90"


def test_forty_seconds_of_silence_are_a_dead_stream(blank: Page) -> None:
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); window.test = {{urls, now}}; }}")
    blank.clock.run_for(35_000)
    blank.evaluate("test.now().say('heartbeat', {timestamp: 1})")
    blank.clock.run_for(39_000)
    assert len(blank.evaluate("test.urls()")) == 1
    blank.clock.run_for(7_000)
    assert blank.evaluate("test.urls().at(-1)") == "last_event_id=5"


def test_overdue_heartbeat_is_reported_before_reconnecting(blank: Page) -> None:
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); window.test = {{urls, now, states}}; }}")
    blank.clock.run_for(19_000)
    assert blank.evaluate("test.states().at(-1)") == "live"
    blank.clock.run_for(2_000)
    assert blank.evaluate("test.states().at(-1)") == "silent"
    blank.evaluate("test.now().say('sources', {sources: []})")
    assert blank.evaluate("test.states().at(-1)") == "live"
    assert len(blank.evaluate("test.urls()")) == 1


def test_clock_set_back_does_not_hide_silence(blank: Page) -> None:
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); window.test = {{states}}; }}")
    blank.clock.set_system_time(START)
    blank.clock.run_for(41_000)
    assert blank.evaluate("test.states().at(-1)") == "waiting"


def test_long_heartbeat_interval_is_not_a_dead_server(blank: Page) -> None:
    blank.evaluate(
        f"async () => {{ {FAKE} connection.heartbeat = 60; now().price(5); window.test = {{urls}}; }}"
    )
    blank.clock.run_for(150_000)
    assert len(blank.evaluate("test.urls()")) == 1
    blank.clock.run_for(9_000)
    assert len(blank.evaluate("test.urls()")) == 2


def test_waking_page_reconnects_at_once(blank: Page) -> None:
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); window.test = {{urls, connection}}; }}")
    blank.clock.run_for(6_000)
    blank.evaluate("test.connection.wake(6_000)")
    assert blank.evaluate("test.urls().at(-1)") == "last_event_id=5"


def test_a_glance_at_another_tab_costs_no_stream(blank: Page) -> None:
    """Between two prices there may be a minute: it says nothing of a page that was hidden for a second."""
    blank.evaluate(f"async () => {{ {FAKE} now().price(5); window.test = {{urls, connection}}; }}")
    blank.clock.run_for(9_000)
    blank.evaluate("test.connection.wake(1_000)")
    blank.clock.run_for(1_000)
    assert len(blank.evaluate("test.urls()")) == 1


def test_stream_ending_without_events_means_max_clients(blank: Page) -> None:
    script = """
      now().onopen(); now().fail(0); now().onopen(); now().fail(0);
      now().onopen(); now().price(5); now().fail(0);
      return states();
    """
    assert with_connection(blank, script) == ["connecting", "full", "full", "live", "reconnecting"]


def test_page_keeps_history_that_the_server_lost(blank: Page) -> None:
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


def test_ids_that_went_back_restart_the_stream(blank: Page) -> None:
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


def test_backoff_doubles_to_thirty_seconds_with_jitter(blank: Page) -> None:
    """The shortest first wait is the server's shortest `retry:`, the longest its longest."""
    waits = blank.evaluate(
        """async () => {
          const { backoff } = await import("/page/connection.js");
          return [1, 2, 3, 9].map((n) => [backoff(n, () => 1), backoff(n, () => 0)]);
        }"""
    )
    assert waits == [[2000, 5000], [4000, 10_000], [8000, 20_000], [12_000, 30_000]]


def with_series(page: Page, script: str) -> Any:
    return page.evaluate(
        f"""async () => {{
          const {{ Series }} = await import("/page/series.js");
          const series = new Series();
          const add = (seconds, price = 1, status = "ok") => series.append({{id: seconds * 1000, price, status}});
          {script}
        }}"""
    )


def test_gap_breaks_the_line_and_jitter_does_not(blank: Page) -> None:
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


def test_stale_prices_form_a_line_joined_to_the_fresh_one(blank: Page) -> None:
    script = "add(0, 5); add(10, 6); add(20, 6, 'stale'); add(30, 7); return series.columns(0);"
    assert with_series(blank, script) == [[0, 10, 20, 30], [5, 6, None, 7], [None, 6, 6, None]]


def test_thinning_bounds_points_and_keeps_extremes(blank: Page) -> None:
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


def test_points_beyond_every_range_are_dropped_before_thinning(blank: Page) -> None:
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


def test_points_of_another_tab_keep_their_flags(blank: Page) -> None:
    """Their spacing was thinned; a hole by that measure is none."""
    script = """
      const point = (at) => ({id: at * 1000, price: 1, status: "ok", breaks: at === 2});
      [0, 1, 2, 3, 90, 91, 92].forEach((at) => series.append(point(at)));
      return series.columns(0)[1];
    """
    assert with_series(blank, script) == [1, 1, None, 1, 1, 1, 1, 1]


def test_durations_use_the_largest_unit_with_two(blank: Page) -> None:
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
