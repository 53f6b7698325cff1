"""Traces as a real OTLP receiver gets them: one of each tick over all instances, one of each request."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator

import httpx2
import pytest

from broker import valkey
from broker.instance import SOURCES, exchanges, instance, until
from btc_price_tracker import pipeline
from btc_price_tracker.errors import BrokerUnavailable
from btc_price_tracker.price.model import Status, Tick, Update
from btc_price_tracker.telemetry import otel
from btc_price_tracker.telemetry.logs import TRACE_ID
from live import Client, a_tick, live
from telemetry.otlp import ReceivedSpan, Receiver, receiving

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # ms
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield receiver


def complete(spans: list[ReceivedSpan]) -> bool:
    """Whether two instances have broadcast what one published."""
    names = [span.name for span in spans]
    return names.count("broadcast") == 2 and {"tick", "poll", "consensus", "publish", "store"} <= set(names)


async def test_a_tick_is_one_connected_trace_over_two_instances(receiver: Receiver) -> None:
    with valkey.running() as server:
        url = server.new_url()
        async with exchanges() as urls, instance(url, urls), instance(url, urls):
            await until(lambda: sum(map(complete, receiver.traces().values())) >= 3)
    spans = next(filter(complete, receiver.traces().values()))
    (root,) = (span for span in spans if not span.parent)
    assert root.name == "tick"
    by_id = {span.id: span for span in spans}
    parents = {span.name: by_id[span.parent].name for span in spans if span.parent}
    assert parents == {
        "poll": "tick",
        "GET": "poll",
        "consensus": "tick",
        "publish": "tick",
        "store": "tick",
        "broadcast": "tick",
    }
    assert sorted(span.attributes["btc.source"] for span in spans if span.name == "GET") == sorted(SOURCES)
    broadcasts = [span for span in spans if span.name == "broadcast"]
    assert len({span.instance for span in broadcasts}) == 2
    assert root.instance in {span.instance for span in broadcasts}
    assert {span.attributes["btc.tick.id"] for span in broadcasts} == {root.attributes["btc.tick.id"]}
    assert {span.resource["service.name"] for span in spans} == {"btc-price-tracker"}
    assert not any(span.failed for span in spans)


async def test_request_to_a_source_has_the_attributes_of_http_clients(receiver: Receiver) -> None:
    with valkey.running() as server:
        async with exchanges() as urls, instance(server.new_url(), urls):
            await until(lambda: receiver.named("GET"))
    span = receiver.named("GET")[0]
    assert span.kind == 3
    assert span.attributes["http.request.method"] == "GET"
    assert span.attributes["http.response.status_code"] == 200
    assert span.attributes["server.address"] == "127.0.0.1"
    assert span.attributes["url.full"].startswith(urls[f"{span.attributes['btc.source']}_url"])


async def spans_of(receiver: Receiver, name: str) -> list[ReceivedSpan]:
    await until(lambda: receiver.named(name))
    return receiver.named(name)


async def test_request_continues_the_trace_of_its_client(receiver: Receiver) -> None:
    async with live() as server, httpx2.AsyncClient(trust_env=False) as client:
        await client.get(
            f"{server.url}/prices/17?access_token=secret",
            headers={"traceparent": PARENT, "X-Request-ID": "mine"},
        )
        (span,) = await spans_of(receiver, "GET /prices/{id}")
    assert (span.kind, span.trace, span.parent) == (2, TRACE, "b7ad6b7169203331")
    assert span.attributes["http.route"] == "/prices/{id}"
    assert span.attributes["url.path"] == "/prices/17"
    assert span.attributes["http.response.status_code"] == 404
    assert span.attributes["btc.request_id"] == "mine"
    assert "secret" not in str(span)


async def test_garbage_paths_and_methods_make_no_new_names(receiver: Receiver) -> None:
    async with live() as server, httpx2.AsyncClient(trust_env=False) as client:
        for number, method in enumerate(("PROPFIND", "LOCK", "MKCOL")):
            await client.request(method, f"{server.url}/garbage/{number}")
        await until(lambda: len(receiver.spans) == 3)
    assert {span.name for span in receiver.spans} == {"HTTP"}
    assert {span.attributes["http.request.method"] for span in receiver.spans} == {"_OTHER"}


@pytest.mark.parametrize("detach", [True, False])
async def test_span_of_a_stream_ends_once_it_is_open_and_links_to_the_tick_it_resumes_from(
    receiver: Receiver, *, detach: bool
) -> None:
    async with live(detach=detach) as server:
        tick = a_tick(server.clock.now())
        await server.term.publish(Update(Status.OK, "3 exchanges agree.", tick, trace=PARENT))
        await until(lambda: server.hub.head == tick.id)
        headers = {"last_event_id": str(tick.id)}
        async with await Client.get(server.port, "/prices/stream", **headers) as client:
            (span,) = await spans_of(receiver, "GET /prices/stream")  # while it is open
            following = await server.publish()
            assert await client.prices(1) == [following]
    assert span.links == (TRACE,)
    assert span.attributes["btc.stream.anchor"] == "id"
    assert span.attributes["btc.stream.after"] == tick.id
    assert span.attributes["http.response.status_code"] == 200


async def test_broadcast_is_traced_until_the_last_stream(receiver: Receiver) -> None:
    async with live() as server, await Client.get(server.port, "/prices/stream"):
        await until(lambda: len(server.hub) == 1)
        tick = a_tick(server.clock.now())
        await server.term.publish(Update(Status.OK, "3 exchanges agree.", tick, trace=PARENT))
        (span,) = await spans_of(receiver, "broadcast")
    assert (span.trace, span.kind, span.attributes["btc.streams"]) == (TRACE, 5, 1)


async def test_failing_store_and_broker_show_in_the_trace(receiver: Receiver) -> None:
    tracer = otel.open_tracer("a")

    async def updates() -> AsyncGenerator[Update, None]:
        yield Update(Status.OK, "3 exchanges agree.", a_tick(1), trace=PARENT)

    async def keep(_: Tick) -> str:
        return "disk full"

    async def publish(_: Update) -> None:
        raise BrokerUnavailable("connection reset")

    with pytest.raises(BrokerUnavailable):
        await pipeline.produce(updates(), publish, keep, durable_first=True, tracer=tracer)
    await tracer.aclose()
    assert [(span.name, span.failed, span.trace) for span in receiver.spans] == [
        ("store", True, TRACE),
        ("publish", True, TRACE),
    ]


async def test_exception_marks_its_span_as_failed(receiver: Receiver) -> None:
    tracer = otel.open_tracer("a")
    with pytest.raises(LookupError), tracer.span("outer") as outer, tracer.span("inner"):
        raise LookupError("nothing there")
    outer.set({"late": 1})  # ignored, without a warning
    outer.fail("late")
    await tracer.aclose()
    assert {span.name: span.failed for span in receiver.spans} == {"inner": True, "outer": True}
    assert receiver.named("inner")[0].attributes == {"error.type": "LookupError"}


async def test_invalid_traceparent_begins_a_trace(receiver: Receiver) -> None:
    tracer = otel.open_tracer("a")
    with tracer.span("root", parent="garbage") as span:
        span.link("garbage")
        assert span.traceparent.split("-")[1] == TRACE_ID.get()
    assert TRACE_ID.get(None) is None
    await tracer.aclose()
    assert (receiver.spans[0].parent, receiver.spans[0].links) == ("", ())


async def test_environment_names_the_service(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "prices")
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-1,deployment.environment.name=test"
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=abc")
    tracer = otel.open_tracer("a")
    with tracer.span("one"):
        pass
    await tracer.aclose()
    resource = receiver.spans[0].resource
    assert (resource["service.name"], resource["service.instance.id"]) == ("prices", "pod-1")
    assert resource["deployment.environment.name"] == "test"
    assert receiver.headers[0]["x-key"] == "abc"


async def test_unsampled_traces_are_not_exported(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    tracer = otel.open_tracer("a")
    with tracer.span("one") as span:
        span.link(PARENT)
        span.set({"a": 1})
        assert not int(span.traceparent[-2:], 16) & 1
    await tracer.aclose()
    assert not receiver.spans


async def test_closing_does_not_wait_for_a_dead_receiver(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(otel, "CLOSE_TIMEOUT", 0.2)
    tracer = otel.open_tracer("a")
    with tracer.span("one"):
        pass
    async with asyncio.timeout(5):
        await tracer.aclose()


UNCONFIGURED = """
import asyncio, sys
from btc_price_tracker import app
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.settings import load

async def main():
    async with app.compose(load({"store_url": "memory://"}), SystemClock()) as service:
        assert not service.hub.spans._is_on
asyncio.run(main())
parts = ("btc_price_tracker.telemetry.otel", "opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf")
print([name for name in sys.modules if name.startswith(parts)])
"""


def test_nothing_is_imported_where_tracing_is_not_configured() -> None:
    result = subprocess.run(
        [sys.executable, "-c", UNCONFIGURED], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout == "[]\n"
