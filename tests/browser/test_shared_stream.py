"""What all tabs of a browser share, imported into a blank page, with time, network and tabs in hand."""

from typing import Any

import pytest
from playwright.sync_api import Page

HOUR = 3600
NOW = 1_700_003_600_000  # ms: when a blank page stands still

SHARED = """async () => {
  class FakeEventSource extends EventTarget {
    static CLOSED = 2;
    static opened = [];
    readyState = 0;
    constructor(url) { super(); this.url = url; FakeEventSource.opened.push(this); }
    close() { this.readyState = 2; }
    fail(readyState) { this.readyState = readyState; this.onerror(); }
    price(id, more) {
      const data = JSON.stringify({price: 1, status: "ok", age: 1, ...more});
      this.onmessage({lastEventId: String(id), data});
    }
    say(type, data) { this.dispatchEvent(new MessageEvent(type, {data: JSON.stringify(data)})); }
  }
  globalThis.EventSource = FakeEventSource;
  const requests = [];
  const server = { ahead: 0, latest: null, isUp: true, hours: {}, cache: "public, immutable" };
  globalThis.fetch = async (url) => {
    requests.push(String(url));
    if (!server.isUp) throw new TypeError("down");
    const [, hour] = String(url).split("/hours/");
    if (hour) {
      const hasOlder = Object.keys(server.hours).some((other) => other < hour);
      const headers = { "cache-control": server.cache, ...(hasOlder && { link: '<hour>; rel="prev"' }) };
      return new Response(JSON.stringify(server.hours[hour] ?? []), { headers });
    }
    const date = new Date(Date.now() + server.ahead).toUTCString();
    const status = server.latest ? 200 : 503;
    return new Response(JSON.stringify(server.latest), { status, headers: { date } });
  };
  const { SharedStream } = await import("/page/shared-stream.js");
  const shared = new SharedStream("http://tracker.test/");
  const tab = (span = 3600) => {
    const events = [];
    const port = { postMessage: (some) => events.push(...structuredClone(some)) };
    shared.attach(port);
    const say = (message) => port.onmessage({ data: message });
    const of = (type) => events.filter((event) => event.type === type);
    const points = () => {
      let ids = [];
      for (const { type, points } of events) {
        if (type === "history") ids = [];
        if (points) ids.push(...points.map(({ id }) => id));
      }
      return ids;
    };
    say({ type: "join", span });
    return { events, say, of, points, newest: (type) => of(type).at(-1) };
  };
  const opened = () => FakeEventSource.opened.map(({ url }) => new URL(url).searchParams);
  const positions = () => opened().map((query) => query.get("since") ?? query.get("last_event_id"));
  const source = () => FakeEventSource.opened.at(-1);
  const open = () => FakeEventSource.opened.filter(({ readyState }) => readyState < 2).length;
  window.test = { tab, positions, source, open, requests, server };
}"""


@pytest.fixture
def shared(blank: Page) -> Page:
    blank.evaluate(SHARED)
    return blank


def run(page: Page, script: str) -> Any:
    """Evaluate with `test`'s parts and the present in scope; promises that were made get their turn first."""
    return page.evaluate(
        f"""async () => {{
          const {{ tab, positions, source, open, requests, server }} = test;
          const now = Date.now();
          for (let i = 0; i < 20; i++) await null;
          {script}
        }}"""
    )


def test_one_stream_serves_every_tab(shared: Page) -> None:
    run(shared, "test.one = tab(); test.two = tab(); source().price(now);")
    shared.clock.run_for(10)
    assert run(shared, "return [open(), positions(), test.one.points(), test.two.points()];") == [
        1,
        [str(NOW // 1000 - HOUR)],
        [NOW],
        [NOW],
    ]


def test_joining_tab_gets_history_and_latest_state(shared: Page) -> None:
    run(
        shared,
        """
        tab();
        source().say("status", {status: "ok", reason: "Fine."});
        source().say("sources", {sources: [], heartbeat: 15, timestamp: now / 1000});
        source().price(now - 20_000); source().price(now - 10_000); source().price(now);
        """,
    )
    shared.clock.run_for(5_000)
    points, status, sources, price, link = run(
        shared,
        """
        const two = tab();
        return [two.points(), ...["status", "sources", "price", "link"].map(two.newest)];
        """,
    )
    assert points == [NOW - 20_000, NOW - 10_000, NOW]
    assert (status["reason"], sources["heartbeat"], price["id"], link["state"]) == ("Fine.", 15, NOW, "live")
    for event in (status, sources, price, link):
        assert 4_900 <= event["elapsed"] <= 5_000


def test_longer_history_is_shared_by_all_tabs(shared: Page) -> None:
    run(shared, "test.one = tab(300); source().price(now);")
    shared.clock.run_for(10)
    run(shared, f"test.two = tab(3600); source().price({NOW} - 3_000_000); source().price({NOW});")
    shared.clock.run_for(10)
    open_, points, two = run(shared, "return [open(), test.one.points(), test.two.points()];")
    assert open_ == 1
    assert points == two == [NOW - 3_000_000, NOW]
    assert run(shared, "test.one.say({type: 'widen', span: 300}); return positions().length;") == 2


def test_stream_closes_with_the_last_tab_and_reopens(shared: Page) -> None:
    script = "test.one = tab(); test.two = tab(); source().price(now); test.one.say({type: 'leave'}); return open();"
    assert run(shared, script) == 1
    assert run(shared, "test.two.say({type: 'leave'}); return open();") == 0
    assert run(shared, "tab(); return [open(), positions().length];") == [1, 2]


def test_returning_tab_resumes_after_the_last_price(shared: Page) -> None:
    run(shared, "test.one = tab(); source().price(now);")
    shared.clock.run_for(10)
    run(shared, "test.one.say({type: 'leave'});")
    shared.clock.run_for(60_000)
    assert run(shared, "test.two = tab(); return [positions().at(-1), test.two.points()];") == [
        str(NOW),
        [NOW],
    ]
    run(shared, "source().price(now);")
    shared.clock.run_for(10)
    assert run(shared, "return test.two.points().length;") == 2


def test_replay_is_delivered_at_once_when_complete(shared: Page) -> None:
    run(shared, "test.one = tab(); for (let i = 60; i > 10; i--) source().price(now - i * 60_000);")
    shared.clock.run_for(2_000)
    assert run(shared, "return [test.one.points(), test.one.of('price')];") == [[], []]
    run(shared, "source().price(now);")
    shared.clock.run_for(10)
    assert run(shared, "return [test.one.points().length, test.one.of('price').length];") == [51, 1]


def test_replay_of_old_prices_ends_after_silence(shared: Page) -> None:
    run(shared, "test.one = tab(); source().price(now - 600_000, {age: 5});")
    shared.clock.run_for(4_000)
    price = run(shared, "return test.one.newest('price');")
    assert price["behind"] == 600_000
    assert price["age"] == 600


def test_latest_price_precedes_a_long_replay(shared: Page) -> None:
    run(shared, "server.latest = {id: now - 50_000, price: 2, status: 'ok', age: 1}; test.one = tab();")
    assert run(shared, "return test.one.newest('price').price;") == 2
    run(shared, "source().price(now - 600_000); source().price(now - 50_000);")
    shared.clock.run_for(10)
    assert run(shared, "return [test.one.points().length, test.one.of('price').length];") == [2, 1]


def test_age_is_not_counted_twice(shared: Page) -> None:
    """So the stream begins where nothing fresh has followed its newest price for long."""
    run(shared, "test.one = tab(); source().price(now - 7_200_000, {status: 'stale', age: 7_205});")
    shared.clock.run_for(4_000)
    assert run(shared, "return test.one.newest('price').age;") == 7_205


def test_a_gap_breaks_the_line_of_every_tab(shared: Page) -> None:
    run(
        shared,
        "test.one = tab(); source().price(now - 20); source().say('gap', {}); source().price(now - 10);",
    )
    shared.clock.run_for(10)
    script = "const {points} = tab().newest('history'); return points.map(({breaks}) => breaks);"
    assert run(shared, script) == [False, True]


def test_lost_server_history_restarts_the_stream(shared: Page) -> None:
    run(shared, "test.one = tab(); source().price(now);")
    shared.clock.run_for(10)
    run(shared, "source().say('gap', {}); source().price(NOW - 5_000);".replace("NOW", str(NOW)))
    shared.clock.run_for(10)
    assert run(shared, "return [test.one.points(), test.one.newest('price').id];") == [
        [NOW - 5_000],
        NOW - 5_000,
    ]


@pytest.mark.parametrize("ahead", [7200, 1800])
def test_fast_clock_requests_history_again_by_server_time(shared: Page, ahead: int) -> None:
    run(shared, f"server.ahead = {-ahead * 1000}; test.one = tab();")
    positions, clock = run(shared, "return [positions().map(Number), test.one.newest('clock').now];")
    assert positions[0] == NOW // 1000 - HOUR
    assert abs(positions[1] - (positions[0] - ahead)) <= 1
    assert abs(clock - (NOW - ahead * 1000)) <= 500
    assert len(positions) == 2


def test_clock_step_changes_no_age(shared: Page) -> None:
    run(shared, "test.one = tab(); source().price(now);")
    shared.clock.set_system_time(NOW / 1000 + 3600)
    run(shared, f"source().price({NOW} + 10);")
    shared.clock.run_for(10)
    assert run(shared, "return test.one.newest('price').age;") == 1


def test_server_time_is_retried_until_known(shared: Page) -> None:
    """A stream of the future is refused with an error status, which tells an EventSource nothing."""
    run(shared, "server.isUp = false; server.ahead = -7_200_000; test.one = tab(); source().fail(2);")
    run(shared, "server.isUp = true;")
    shared.clock.run_for(5_000)
    positions = run(shared, "return positions().map(Number);")
    assert positions[-1] < positions[0] - 7_000


def test_requests_are_not_repeated_for_each_price(shared: Page) -> None:
    run(shared, "test.one = tab();")
    for _ in range(5):
        run(shared, "source().price(now); source().say('sources', {sources: []});")
        shared.clock.run_for(10_000)
    assert run(shared, "return requests;") == ["http://tracker.test/prices/latest"]


def test_without_a_stream_the_latest_price_is_requested(shared: Page) -> None:
    run(shared, "test.one = tab();")
    run(
        shared,
        "server.latest = {id: now, price: 2, status: 'ok', age: 1}; source().onopen(); source().fail(0);",
    )
    state, price = run(shared, "return [test.one.newest('link').state, test.one.newest('price')];")
    assert (state, price["price"]) == ("full", 2)


def test_unreachable_server_is_retried_with_backoff(shared: Page) -> None:
    """By one stream, whatever the number of tabs, and by no other request."""
    run(shared, "server.ahead = 0; tab(); tab(); source().price(now);")
    before = run(shared, "return requests.length;")
    run(shared, "source().fail(0); source().fail(0);")
    for _ in range(60):
        shared.clock.run_for(5_000)
        run(shared, "if (open()) source().fail(0);")
    tries = run(shared, "return positions().length - 1;")
    assert 9 <= tries <= 30
    assert run(shared, "return requests.length;") == before


def test_server_announces_its_heartbeat_interval(shared: Page) -> None:
    run(shared, "tab(); source().say('sources', {sources: [], heartbeat: 60});")
    shared.clock.run_for(60_000)
    assert run(shared, "return positions().length;") == 1


def test_tab_is_notified_of_heartbeats(shared: Page) -> None:
    run(shared, "test.one = tab();")
    shared.clock.run_for(30_000)
    assert run(shared, "return test.one.of('alive').length;") == 3


# NOW is 23:13:20.
HOURS = """
  const point = (id) => ({id, price: 1, status: "ok", age: 1});
  const hour = Date.parse("2023-11-14T22:00Z");
  server.hours = {"2023-11-14T22": [point(hour), point(hour + 3_599_999)], "2023-11-14T21": [point(hour - 1)]};
"""
HOUR_22 = 1_699_999_200_000


def test_long_history_comes_in_complete_hours(shared: Page) -> None:
    """The stream replays the rest; nothing is asked for before the first price."""
    run(shared, f"{HOURS} test.one = tab(21600); source().price(now);")
    shared.clock.run_for(10)
    requests, positions, points = run(shared, "return [requests, positions(), test.one.points()];")
    names = [url.rpartition("/")[2] for url in requests if "/hours/" in url]
    assert names == ["2023-11-14T22", "2023-11-14T21"]
    assert positions == [str(HOUR_22 // 1000 + HOUR)]
    assert points == [HOUR_22 - 1, HOUR_22, HOUR_22 + 3_599_999, NOW]


def test_hours_before_the_first_price_are_not_replayed(shared: Page) -> None:
    run(shared, "server.cache = 'no-cache'; test.one = tab(21600); source().price(now);")
    shared.clock.run_for(10)
    requests, positions, points = run(shared, "return [requests, positions(), test.one.points()];")
    assert len([url for url in requests if "/hours/" in url]) == 1
    assert (positions, points) == ([str(HOUR_22 // 1000 + HOUR)], [NOW])


def test_prices_before_the_span_are_not_shown(shared: Page) -> None:
    run(shared, f"{HOURS} test.one = tab(4401); source().price(now);")  # one second more than since 22:00
    shared.clock.run_for(10)
    assert run(shared, "return test.one.points();") == [HOUR_22 - 1, HOUR_22, HOUR_22 + 3_599_999, NOW]
    run(shared, f"{HOURS} test.one.say({{type: 'leave'}});")


@pytest.mark.parametrize("fault", ["server.cache = 'no-cache'", "server.isUp = false"])
def test_incomplete_hours_are_replayed_by_the_stream(shared: Page, fault: str) -> None:
    run(shared, f"{HOURS} {fault}; test.one = tab(21600);")
    run(shared, "source().price(now - 20_000_000); source().price(now);")
    shared.clock.run_for(10)
    positions, points = run(shared, "return [positions(), test.one.points()];")
    assert positions[-1] == str(NOW // 1000 - 21600)
    assert points == [NOW - 20_000_000, NOW]


def test_hours_are_shown_if_no_price_follows(shared: Page) -> None:
    run(shared, f"{HOURS} test.one = tab(21600);")
    run(shared, "")
    shared.clock.run_for(4_000)
    points, price = run(shared, "return [test.one.points(), test.one.newest('price')];")
    assert points == [HOUR_22 - 1, HOUR_22, HOUR_22 + 3_599_999]
    assert price["id"] == points[-1]


def test_hours_of_a_stream_that_was_given_up_are_ignored(shared: Page) -> None:
    run(shared, f"{HOURS} test.one = tab(21600); test.one.say({{type: 'leave'}});")
    shared.clock.run_for(4_000)
    assert run(
        shared, "return [open(), test.one.points(), requests.filter((url) => /hours/.test(url)).length];"
    ) == [
        0,
        [],
        1,
    ]
