"""A tab's end of the shared stream, imported into a blank page, with workers of the test's own."""

from typing import Any

import pytest
from playwright.sync_api import Page

WORKERS = """async () => {
  const workers = [];
  globalThis.SharedWorker = class {
    constructor(url, options) {
      if (globalThis.forbidden) throw new DOMException("insecure", "SecurityError");
      this.url = String(url);
      this.name = options.name;
      this.said = [];
      this.isClosed = false;
      this.port = {
        postMessage: (message) => this.said.push(message),
        close: () => (this.isClosed = true),
      };
      workers.push(this);
    }
    tell(...events) { this.port.onmessage({ data: events }); }
  };
  const streams = [];
  globalThis.EventSource = class extends EventTarget {
    constructor(url) { super(); streams.push(url); }
    close() {}
  };
  const { Stream } = await import("/page/stream.js");
  const events = [];
  const stream = new Stream((event) => events.push(event));
  stream.start(3600);
  const opened = () => new Promise((done) => {
    const look = () => (streams.length ? done(streams) : messages());
    const messages = () => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = look;
      port2.postMessage(0);
    };
    look();
  });
  window.test = { workers, streams, stream, events, opened };
}"""


@pytest.fixture
def tab(blank: Page) -> Page:
    blank.evaluate(WORKERS)
    return blank


def run(page: Page, script: str) -> Any:
    return page.evaluate(f"() => {{ const {{ workers, stream, events, opened, streams }} = test; {script} }}")


def test_tab_joins_the_worker_of_its_root(tab: Page) -> None:
    url, name, said = run(tab, "const [{url, name, said}] = workers; return [url, name, said];")
    assert url.endswith("/page/shared-stream-worker.js")
    assert name == url.removesuffix("page/shared-stream-worker.js")
    assert said == [{"type": "join", "span": 3600}]
    run(tab, "workers[0].tell({type: 'status', elapsed: 3000}, {type: 'alive'});")
    heard = run(tab, "return events.map(({type, at}) => [type, performance.now() - at.monotonic]);")
    assert heard == [["status", 3000], ["alive", 0]]


def test_a_worker_that_was_ended_is_joined_anew(tab: Page) -> None:
    run(tab, "workers[0].tell({type: 'alive'}); stream.widen(21_600);")
    tab.clock.run_for(30_000)
    assert run(tab, "return workers.length;") == 1
    tab.clock.run_for(15_000)
    assert run(tab, "return [workers.length, workers[0].isClosed, workers[1].said];") == [
        2,
        True,
        [{"type": "join", "span": 21_600}],
    ]
    for _ in range(10):
        run(tab, "workers.at(-1).tell({type: 'alive'});")
        tab.clock.run_for(10_000)
    assert run(tab, "return [workers.length, streams.length];") == [2, 0]


def test_a_worker_that_never_speaks_is_done_without(tab: Page) -> None:
    tab.clock.run_for(90_000)
    assert "prices/stream?with=sources&since=" in run(tab, "return opened();")[0]
    tab.clock.run_for(300_000)
    assert run(tab, "return workers.length;") == 2


def test_tab_works_without_a_shared_worker(tab: Page) -> None:
    """As where workers can't be modules; a worker may report more than one error."""
    run(tab, "workers[0].onerror(); workers[0].onerror();")
    assert len(run(tab, "return opened();")) == 1
    assert run(tab, "return workers[0].isClosed;")


def test_a_worker_that_is_forbidden_is_done_without(blank: Page) -> None:
    blank.evaluate("() => { globalThis.forbidden = true; }")
    blank.evaluate(WORKERS)
    assert len(run(blank, "return opened();")) == 1


def test_a_tab_that_is_left_says_so(tab: Page) -> None:
    run(tab, "stream.stop();")
    assert run(tab, "return [workers[0].said.at(-1), workers[0].isClosed];") == [{"type": "leave"}, True]
    tab.clock.run_for(300_000)
    assert run(tab, "return workers.length;") == 1
