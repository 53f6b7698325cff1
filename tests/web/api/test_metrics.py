"""`/metrics` as served, read with the parser of prometheus_client."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Status
from btc_price_tracker.telemetry.metrics import METRICS
from btc_price_tracker.testing import ManualClock, eventually
from live import Client, Live, live

Samples = dict[str, float]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def server(clock: ManualClock) -> AsyncIterator[Live]:
    async with live(clock, max_clients=1, sources=("kraken", "coinbase")) as server:
        yield server


async def scrape(server: Live, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(
        base_url=server.url, trust_env=False, headers=headers, timeout=30
    ) as client:
        return await client.get("/metrics")


async def samples(server: Live) -> Samples:
    """Every sample of ours, like `btc_price_status{status="ok"}`."""
    response = await scrape(server)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    return {
        name(sample.name, sample.labels): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.name.startswith("btc_")
    }


def name(of: str, labels: dict[str, str]) -> str:
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{of}{{{inside}}}" if inside else of


async def test_no_price_is_reported_before_the_first(server: Live) -> None:
    values = await samples(server)
    assert "btc_price_usd" not in values
    assert values['btc_price_status{status="stale"}'] == 1
    assert values["btc_prices_published_total"] == 0


async def test_price_and_status_are_reported(server: Live) -> None:
    await server.publish("69420.25", status=Status.DEGRADED)
    values = await samples(server)
    assert values["btc_price_usd"] == 69420.25
    assert values["btc_price_spread_usd"] == 3.10
    assert values["btc_price_sources"] == 3
    assert [values[f'btc_price_status{{status="{status}"}}'] for status in Status] == [
        status is Status.DEGRADED for status in Status
    ]
    assert values["btc_prices_published_total"] == 1


async def test_the_age_of_a_stale_price_grows(server: Live, clock: ManualClock) -> None:
    await server.publish()
    assert (await samples(server))["btc_price_age_seconds"] == 0
    await server.announce(Status.STALE, "nobody answers")
    await clock.advance(70)
    assert (await samples(server))["btc_price_age_seconds"] == 70


async def test_a_clock_that_was_set_back_is_reported(server: Live, clock: ManualClock) -> None:
    await server.publish()
    assert (await samples(server))["btc_clock_behind_seconds"] == 0
    clock.step(-30)
    assert (await samples(server))["btc_clock_behind_seconds"] == pytest.approx(30, abs=1)


async def test_the_limit_of_streams_is_reported(server: Live) -> None:
    assert (await samples(server))["btc_streams_max"] == 1


async def test_streams_are_counted(server: Live) -> None:
    async with await Client.get(server.port, "/prices/stream") as client:
        await eventually(lambda: len(server.hub) == 1)
        await server.publish()
        await client.prices(1)
        values = await samples(server)
        assert (values["btc_streams_open"], values["btc_streams_opened_total"]) == (1, 1)
        assert values["btc_stream_events_sent_total"] == 3  # the status at the start, the new one, the price
        assert values['btc_streams_rejected_total{reason="max_clients"}'] == 0
        async with await Client.get(server.port, "/prices/stream") as refused:
            assert refused.status == 503
        assert (await samples(server))['btc_streams_rejected_total{reason="max_clients"}'] == 1
    await eventually(lambda: len(server.hub) == 0)
    values = await samples(server)
    assert (values["btc_streams_open"], values["btc_streams_opened_total"]) == (0, 1)


async def test_store_failure_and_queue_are_reported(
    server: Live, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(server.service.store, "append", fail)
    await server.publish()
    await server.publish()
    values = await samples(server)
    assert (values["btc_store_up"], values["btc_store_queued"], values["btc_store_dropped_total"]) == (
        0,
        2,
        0,
    )
    monkeypatch.undo()
    await clock.advance(2)
    values = await samples(server)
    assert (values["btc_store_up"], values["btc_store_queued"]) == (1, 0)


async def test_every_source_has_a_state(server: Live) -> None:
    values = await samples(server)
    for source in ("kraken", "coinbase"):
        assert values[f'btc_source_state{{source="{source}",state="waiting"}}'] == 1
        assert values[f'btc_source_state{{source="{source}",state="ok"}}'] == 0
        assert values[f'btc_source_requests_total{{source="{source}"}}'] == 0


TEXT = "text/plain; version=0.0.4"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("Application/OpenMetrics-Text;Version=1.0.0", OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1", TEXT),
        ("application/openmetrics-text; version=2.0.0", TEXT),
        ("application/openmetrics-text; version=x.y", TEXT),
        ("application/openmetrics-text; version=", TEXT),
        ('application/openmetrics-text; version="1.0.0', TEXT),
        ("text/plain; version=1.0.0; escaping=allow-utf-8", TEXT),
        ("text/plain; version=not.a.number", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=0.1, text/plain;q=0.9", TEXT),
        ("text/plain;q=0.5, application/openmetrics-text;q=0.6", OPENMETRICS),
        ("application/openmetrics-text;q=high", TEXT),
        ("application/openmetrics-text;q=nan", TEXT),
        (",;=,;q=;", TEXT),
        (PROMETHEUS_3, OPENMETRICS),
    ],
)
async def test_format_is_negotiated_and_never_fails(server: Live, accept: str, expected: str) -> None:
    response = await scrape(server, Accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(expected)
    assert response.text.endswith("# EOF\n") is (expected is OPENMETRICS)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer wrong", "Basic geheim", "geheim", "Bearer", "Bearer gehei"]
)
async def test_token_is_required_if_set(authorization: str) -> None:
    async with live(metrics_token="geheim") as server:
        refused = await scrape(server, Authorization=authorization)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].split()[0] == "Bearer"
        assert "geheim" not in refused.text
        for scheme in ("Bearer", "bearer", "BEARER", "Bearer "):  # RFC 9110, 11.1 and 11.4
            assert (await scrape(server, Authorization=f"{scheme} geheim")).status_code == 200


async def test_broker_leader_and_term_are_reported(server: Live) -> None:
    assert [(await samples(server))[name] for name in ("btc_broker_up", "btc_leader", "btc_term")] == [
        1,
        0,
        0,
    ]
    await server.publish()
    assert (await samples(server))["btc_term"] == 1
    server.service.link.fail("it is full")
    assert (await samples(server))["btc_broker_up"] == 0


async def test_number_of_series_does_not_grow_with_clients_ids_and_paths() -> None:
    async with live(max_clients=0) as server:
        await server.publish()
        await _act(server, 0)
        await samples(server)  # this request is counted, too
        before = set(await samples(server))
        for number in range(1, 60):
            await _act(server, number)
        assert set(await samples(server)) == before


async def _act(server: Live, number: int) -> None:
    """One more client, with ids and paths of its own."""
    ids = {"X-Request-ID": f"client-{number}", "User-Agent": f"agent-{number}", "Host": f"host-{number}"}
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, headers=ids, timeout=30) as client:
        for path in (f"/{number}", f"/prices/{number}", f"/{number}/../%00", f"/prices?limit=-{number}"):
            await client.get(path)
    opened = server.hub.counts.joined
    resuming = {"last_event_id": str(server.hub.head - number), "x_request_id": f"stream-{number}"}
    async with await Client.get(server.port, "/prices/stream", **resuming) as stream:
        await eventually(lambda: server.hub.counts.joined > opened)
        await stream.event()
    await eventually(lambda: len(server.hub) == 0)


async def test_reconnects_and_their_depth_are_counted(server: Live, clock: ManualClock) -> None:
    first = await server.publish()
    await clock.advance(20)
    async with await Client.get(server.port, "/prices/stream", last_event_id=str(first)):
        await eventually(lambda: len(server.hub) == 1)
    await eventually(lambda: len(server.hub) == 0)
    values = await samples(server)
    assert values["btc_streams_resumed_total"] == 1
    assert values["btc_stream_resume_depth_seconds_sum"] == 20
    assert (
        values['btc_streams_closed_total{reason="client"}']
        + values['btc_streams_closed_total{reason="reset"}']
        == 1
    )
    assert values["btc_stream_duration_seconds_count"] == 1


async def test_requests_are_counted_by_route_and_status(server: Live) -> None:
    async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        for path in ("/prices/latest", "/healthz", "/nowhere", "/prices/12", "/", "/docs", "/openapi.json"):
            await client.get(path)
        page = (await client.get("/")).text
        script = page[page.index("page/") :].split('"')[0]
        assert (await client.get(f"/{script}")).status_code == 200
    values = await samples(server)
    counts = {key: value for key, value in values.items() if key.startswith("btc_http_requests_total")}
    assert counts == {
        'btc_http_requests_total{route="/prices/latest",status="503"}': 1,
        'btc_http_requests_total{route="/healthz",status="200"}': 1,
        'btc_http_requests_total{route="other",status="404"}': 1,
        'btc_http_requests_total{route="/prices/{id}",status="404"}': 1,
        'btc_http_requests_total{route="/",status="200"}': 2,
        'btc_http_requests_total{route="/docs",status="200"}': 1,
        'btc_http_requests_total{route="/openapi.json",status="200"}': 1,
        'btc_http_requests_total{route="/page/{name}",status="200"}': 1,
    }
    assert values['btc_http_request_seconds_count{route="/"}'] == 2
    assert values["btc_http_requests_in_progress"] == 1  # this one


async def test_every_metric_of_the_table_is_served(server: Live) -> None:
    await server.publish()
    text = (await scrape(server)).text
    missing = [metric.name for metric in METRICS if f"# HELP {metric.series} " not in text]
    assert missing == ["btc_tls_certificate_expiry_timestamp_seconds"]  # there is none without TLS
