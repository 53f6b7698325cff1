"""The API's description says what the API does."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest
from msgspec.structs import replace

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Update
from btc_price_tracker.price.recompute import recompute
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.testing import ManualClock, eventually
from btc_price_tracker.web.api import following, prices
from btc_price_tracker.web.api.views import Provenance
from btc_price_tracker.web.stream.position import PARAMETERS
from live import Client, Event, Live, a_tick, live
from schema import Schema, faults

TOKEN = "geheim"
HEADERS = ("x-request-id", "link", "retry-after", "www-authenticate")  # those that a client may act on
QUOTES = (
    AssessedQuote("kraken", Kind.EXCHANGE, Decimal("69420.10"), price=Decimal("69420.1"), used=True),
    AssessedQuote("coinbase", Kind.EXCHANGE, reason="HTTP 503"),
)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Live]:
    monkeypatch.setattr(following.install, "__defaults__", (0.01,))  # seconds that a client waits
    async with live(ManualClock(), max_clients=1, connect_rate_per_ip=1, metrics_token=TOKEN) as server:
        yield server


@pytest.fixture
async def client(server: Live) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        yield client


@dataclass
class Description:
    """The document, and which of the answers that it describes were seen."""

    client: httpx2.AsyncClient
    paths: dict[str, Any]
    components: dict[str, Any]
    seen: set[tuple[str, str, str]] = field(default_factory=set)

    def answers(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """What it says of every path, status and media type."""
        return {
            (path, status, media): content
            for path, operations in self.paths.items()
            for status, response in operations["get"]["responses"].items()
            for media, content in (response["content"] or {"": {}}).items()
        }

    async def ask(self, path: str, url: str | None = None, **headers: str) -> httpx2.Response:
        """Hold the answer to a request against the document."""
        answer = await self.client.get(url or path, headers=headers)
        status = "default" if answer.status_code == 500 else str(answer.status_code)
        media = answer.headers.get("content-type", "").partition(";")[0]
        content = self.answers()[path, status, media]
        declared = self.paths[path]["get"]["responses"][status]["headers"]
        assert {name for name in HEADERS if name in answer.headers} <= {name.lower() for name in declared}
        if media.endswith("json"):
            self.check(json.loads(answer.content, parse_float=Decimal), content["schema"])
        self.seen.add((path, status, media))
        return answer

    def check_events(self, events: list[Event]) -> None:
        kinds = self.answers()["/prices/stream", "200", "text/event-stream"]["x-events"]
        for event in events:
            data = json.loads(json.dumps(event.data), parse_float=Decimal)
            self.check(data, kinds[event.name])

    def check(self, value: Any, schema: Schema) -> None:
        assert list(faults(value, schema, self.components)) == []


@pytest.fixture
async def description(client: httpx2.AsyncClient) -> Description:
    document = json.loads((await client.get("/openapi.json")).content, parse_float=Decimal)
    return Description(client, document["paths"], document["components"]["schemas"])


async def test_every_answer_is_described_and_every_described_answer_is_given(
    server: Live, description: Description, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = description.ask
    await ask("/prices/latest")
    await ask("/readyz")
    await ask("/sources")

    await server.service.outbox.keep(replace(a_tick(5), quotes=QUOTES))
    await server.publish()
    await server.term.publish(Update(Status.OK, "Two told.", None, QUOTES))
    for path in ("/prices/latest", "/prices", "/sources", "/healthz", "/readyz", "/metrics"):
        await ask(path, Authorization=f"Bearer {TOKEN}")
    await ask("/prices", "/prices?format=csv")
    await ask("/prices", "/prices?limit=1")
    await ask("/prices/candles", "/prices/candles?interval=1m")
    await ask("/prices/{id}", "/prices/5")
    await ask(
        "/metrics",
        Authorization=f"Bearer {TOKEN}",
        Accept="application/openmetrics-text; version=1.0.0",
    )

    await ask("/prices/next", "/prices/next?after=0")
    await ask("/prices/next", "/prices/next?after=0", **{"If-None-Match": "*"})

    await ask("/metrics")
    await ask("/prices/next", "/prices/next?after=x")
    await ask("/prices/{id}", "/prices/6")
    await ask("/prices/{id}", "/prices/x")
    await ask("/prices/stream", "/prices/stream?since=x")
    await ask("/prices", "/prices?limit=0")
    await ask("/prices/candles")

    await _streams(server, description)

    def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    await _hours(description)
    monkeypatch.setattr(server.hub._ring, "floor", 4)
    await server.service.store.prune(6)
    await ask("/prices/next", "/prices/next?after=0")
    for method in ("page", "candles", "get", "ids", "span"):
        monkeypatch.setattr(server.service.store, method, fail)
    await ask("/prices/next", "/prices/next?after=3")
    await ask("/prices/hours/{hour}", "/prices/hours/1970-01-01T00")
    await ask("/prices/next", f"/prices/next?after={2**53 - 1}")
    await ask("/prices")
    await ask("/prices/candles", "/prices/candles?interval=1m")
    await ask("/prices/{id}", "/prices/5")

    def bug(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Watchdog, "recovering", True)
    await ask("/healthz")
    monkeypatch.setattr(prices, "reply", bug)
    await ask("/prices/latest")

    foreseen = {answer for answer in description.answers() if answer[1] != "default"}
    assert foreseen <= description.seen


async def _streams(server: Live, description: Description) -> None:
    async with await Client.get(server.port, "/prices/stream") as stream:
        await server.announce(Status.DEGRADED, "One left.")
        assert stream.headers["content-type"].partition(";")[0] == "text/event-stream"
        description.seen.add(("/prices/stream", "200", "text/event-stream"))
        description.check_events(await stream.events(3))
        await description.ask("/prices/stream")
    await eventually(lambda: len(server.hub) == 0)
    assert (await description.ask("/prices/stream")).status_code == 429


async def _hours(description: Description) -> None:
    """Every answer for an hour but that of a store that fails."""

    async def ask(name: str, **headers: str) -> httpx2.Response:
        return await description.ask("/prices/hours/{hour}", f"/prices/hours/{name}", **headers)

    answer = await ask("1970-01-01T00")
    await ask("1970-01-01T00", **{"If-None-Match": answer.headers["etag"]})
    await ask("today")
    await ask("2999-01-01T00")


async def test_every_answer_of_no_fault_has_an_example_that_is_like_it(description: Description) -> None:
    for (path, status, media), content in description.answers().items():
        if status == "200":
            assert content["example"], (path, media)
        if "example" in content and "schema" in content:
            description.check(content["example"], content["schema"])


async def test_amounts_in_examples_have_all_the_digits_that_they_have_in_answers(
    client: httpx2.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).text
    assert document.count('"spread":4.10') == 5
    assert document.count('\\"spread\\":4.10') == 1


async def test_the_price_of_an_example_is_the_one_of_its_quotes(description: Description) -> None:
    example = description.answers()["/prices/{id}", "200", "application/json"]["example"]
    tick = msgspec.convert(example, Provenance).tick()
    assert recompute(tick) == (tick.price, tick.spread)


async def test_every_route_that_answers_is_described_and_no_other(description: Description) -> None:
    assert description.paths.keys() == {
        "/prices/stream",
        "/prices/latest",
        "/prices",
        "/prices/candles",
        "/prices/next",
        "/prices/hours/{hour}",
        "/prices/{id}",
        "/sources",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    for operations in description.paths.values():
        assert list(operations) == ["get"]
        assert operations["get"]["description"]


async def test_the_bounds_of_every_number_are_described(description: Description) -> None:
    bounds = {
        (path, parameter["name"]): (parameter["schema"]["minimum"], parameter["schema"].get("maximum"))
        for path, operations in description.paths.items()
        for parameter in operations["get"].get("parameters", ())
        if parameter["schema"]["type"] == "integer"
    }
    assert bounds["/prices", "limit"] == (1, 10_000)
    assert bounds["/prices", "after"] == bounds["/prices/{id}", "id"] == (0, 2**53 - 1)
    assert bounds["/prices/candles", "until"] == (0, 253_402_300_799)


async def test_the_stream_is_described_with_its_parameters_and_an_example(description: Description) -> None:
    stream = description.paths["/prices/stream"]["get"]
    assert [parameter["name"] for parameter in stream["parameters"]] == [
        "since",
        "last_event_id",
        "with",
        "Last-Event-ID",
    ]
    example = stream["responses"]["200"]["content"]["text/event-stream"]["example"]
    assert "retry: " in example
    assert "event: status" in example


async def test_every_event_of_the_stream_is_described(description: Description) -> None:
    events = description.answers()["/prices/stream", "200", "text/event-stream"]["x-events"]
    assert list(events) == ["message", "status", "sources", "gap", "heartbeat"]
    gap = Event("gap", {"from": 5, "to": 9})
    heartbeat = Event("heartbeat", {"timestamp": 7})
    description.check_events([gap, heartbeat])


async def test_every_operation_has_an_id_a_tag_and_the_id_of_the_request(description: Description) -> None:
    operations = [operations["get"] for operations in description.paths.values()]
    assert sorted(operation["operationId"] for operation in operations) == [
        "candles",
        "following",
        "healthz",
        "hour",
        "latest",
        "metrics",
        "price",
        "prices",
        "readyz",
        "sources",
        "stream",
    ]
    assert {tuple(operation["tags"]) for operation in operations} == {("prices",), ("state",)}
    for operation in operations:
        assert all("X-Request-ID" in response["headers"] for response in operation["responses"].values())


async def test_a_route_takes_the_parameters_that_are_described_and_no_other(
    client: httpx2.AsyncClient, description: Description
) -> None:
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    for path, operations in description.paths.items():
        described = [
            parameter["name"]
            for parameter in operations["get"].get("parameters", ())
            if parameter["in"] == "query"
        ]
        url = path.replace("{id}", "5")
        for name in described:
            answer = await client.get(url, params={name: "?"})  # which none of them may be
            assert answer.status_code == 400
            assert "Unknown parameter" not in answer.text
            misspelt = await client.get(url, params={name[:-1]: "1"})
            assert misspelt.status_code == 400
            assert f"did you mean '{name}'?" in misspelt.json()["detail"], misspelt.text
        unknown = await client.get(url, params={"xyz": "1"})
        assert unknown.status_code == 400
        advice = f"supported are {', '.join(described)}." if described else "none is supported."
        assert unknown.json()["detail"] == f"Unknown parameter 'xyz': {advice}"


async def test_the_stream_knows_the_parameters_that_are_described(description: Description) -> None:
    described = description.paths["/prices/stream"]["get"]["parameters"]
    assert tuple(each["name"] for each in described if each["in"] == "query") == PARAMETERS
