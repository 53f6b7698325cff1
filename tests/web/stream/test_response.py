"""The promises of /prices/stream, each on the detached path and on the fallback."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.testing import ManualClock, eventually
from live import Client, Event, Live, a_tick, live

pytestmark = pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])


@pytest.fixture
async def server(detach: bool) -> AsyncIterator[Live]:  # noqa: FBT001 - the parameter of every test here
    async with live(detach=detach) as server:
        yield server


async def test_it_begins_with_retry_status_and_the_current_price(server: Live) -> None:
    current = await server.publish("69420.10")
    async with await Client.get(server.port, "/prices/stream") as client:
        status, price = await client.events(2)
    assert status.retry is not None
    assert 2000 <= status.retry <= 5000
    assert status.name == "status"
    assert status.data["status"] == "ok"
    assert status.id is None
    assert price == Event(
        data={
            "timestamp": current // 1000,
            "price": 69420.10,
            "status": "ok",
            "sources": 3,
            "spread": 3.10,
            "age": 0,
            "quote_age": 0,
            "method": "vote3-ped/1",
            "id": current,
            "pair": "BTC/USD",
        },
        id=current,
    )


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("", {}),
        ("?since=1", {}),
        ("?last_event_id=1", {}),
        ("?last_event_id={last}", {}),
        ("", {"last_event_id": "no id"}),
    ],
)
async def test_retry_comes_with_the_first_event_and_with_the_last(
    detach: bool,  # noqa: FBT001 - see server
    path: str,
    headers: dict[str, str],
) -> None:
    async with live(detach=detach, store_size=3) as server:
        last = [await server.publish() for _ in range(8)][-1]
        async with await Client.get(
            server.port, f"/prices/stream{path.format(last=last)}", **headers
        ) as client:
            first = await client.event()
            await server.hub.drain(0)
            await client.body()
        blocks = client.raw.decode().split("\n\n")[:-1]
        assert first.retry
        assert [n for n, block in enumerate(blocks) if block.startswith("retry: ")] == [0, len(blocks) - 1]
        assert all("\ndata: " in block for block in blocks)


async def test_cents_are_exact_on_the_wire(server: Live) -> None:
    await server.publish("69420.10")
    async with await Client.get(server.port, "/prices/stream") as client:
        await client.prices(1)
        assert b'"price":69420.10,' in client.raw
        assert b'"spread":3.10,' in client.raw


async def test_the_first_bytes_leave_before_there_is_any_price(server: Live) -> None:
    async with await Client.get(server.port, "/prices/stream") as client:
        status = await client.event()
        assert status.retry
        assert status.data["status"] == "stale"
        fresh = await server.publish()
        assert await client.prices(1) == [fresh]


async def test_every_price_arrives_in_order(server: Live) -> None:
    first = await server.publish()
    async with await Client.get(server.port, "/prices/stream") as client:
        ids = [first] + [await server.publish() for _ in range(50)]
        assert await client.prices(51) == ids


async def test_the_head_lets_no_proxy_hold_events_back(server: Live) -> None:
    async with await Client.get(server.port, "/prices/stream", accept_encoding="gzip, br, zstd") as client:
        assert client.status == 200
        assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert {"no-cache", "no-transform"} <= set(client.headers["cache-control"].split(", "))
        assert client.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in client.headers
        assert client.headers["x-request-id"]


async def test_last_event_id_resumes_after_it(server: Live) -> None:
    ids = [await server.publish() for _ in range(5)]
    async with await Client.get(server.port, "/prices/stream", last_event_id=str(ids[1])) as client:
        ids.append(await server.publish())
        assert await client.prices(4) == ids[2:]
        assert b"gap" not in client.raw


async def test_last_event_id_in_the_query_resumes_too(server: Live) -> None:
    ids = [await server.publish() for _ in range(3)]
    async with await Client.get(server.port, f"/prices/stream?last_event_id={ids[0]}") as client:
        assert await client.prices(2) == ids[1:]


async def test_the_header_comes_before_the_query_and_an_id_before_a_time(server: Live) -> None:
    ids = [await server.publish() for _ in range(4)]
    path = f"/prices/stream?last_event_id={ids[0]}&since=0"
    async with await Client.get(server.port, path, last_event_id=str(ids[2])) as client:
        assert await client.prices(1) == ids[3:]
    async with await Client.get(server.port, path) as client:
        assert await client.prices(3) == ids[1:]


async def test_whoever_has_everything_gets_only_what_is_new(server: Live) -> None:
    last = await server.publish()
    async with await Client.get(server.port, "/prices/stream", last_event_id=str(last)) as client:
        await client.event()
        fresh = await server.publish()
        assert await client.prices(1) == [fresh]


async def test_since_gives_every_price_of_its_second_on(server: Live) -> None:
    ids = [await server.publish() for _ in range(3)]
    async with await Client.get(server.port, f"/prices/stream?since={ids[0] // 1000}") as client:
        ids.append(await server.publish())
        assert await client.prices(4) == ids
        assert b"gap" not in client.raw


@pytest.mark.parametrize("query", ["since=-1&last_event_id=5", "since=5&last_event_id=x"])
@pytest.mark.parametrize("header", [{}, {"last_event_id": "5"}], ids=["no header", "a header"])
async def test_every_position_in_the_query_is_checked(
    server: Live, query: str, header: dict[str, str]
) -> None:
    async with await Client.get(server.port, f"/prices/stream?{query}", **header) as client:
        assert client.status == 400


@pytest.mark.parametrize(
    "query", ["since=x", "since=-1", "since=", "since=1e3", "since=1764000000000", "since=9" * 30]
)
async def test_a_bad_since_is_400_and_says_why(server: Live, query: str) -> None:
    async with await Client.get(server.port, f"/prices/stream?{query}") as client:
        assert client.status == 400
        assert client.headers["content-type"] == "application/problem+json"
        assert b"since" in await client.body()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sinc=1", "did you mean 'since'?"),
        ("since=1&lasteventid=5", "did you mean 'last_event_id'?"),
        ("stream=prices", "supported are since, last_event_id, with."),
    ],
)
async def test_an_unknown_parameter_is_400_and_names_the_nearest(
    server: Live, query: str, words: str
) -> None:
    for headers in ({}, {"last_event_id": "5"}):
        async with await Client.get(server.port, f"/prices/stream?{query}", **headers) as client:
            assert client.status == 400
            assert words.encode() in await client.body()


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "%D9%A1", "9" * 20, "9007199254740992"])
async def test_a_bad_last_event_id_in_the_query_is_400(server: Live, text: str) -> None:
    async with await Client.get(server.port, f"/prices/stream?last_event_id={text}") as client:
        assert client.status == 400
        assert b"last_event_id" in await client.body()


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "9" * 20, "9007199254740991"])
async def test_a_bad_header_is_answered_with_a_gap_and_the_current_price(server: Live, text: str) -> None:
    await server.publish()
    current = await server.publish()
    async with await Client.get(server.port, "/prices/stream", last_event_id=text) as client:
        status, gap, price = await client.events(3)
        assert (status.name, bool(status.retry)) == ("status", True)
        assert (gap.name, gap.data) == ("gap", {"from": 0, "to": current - 1})
        assert price.id == current


async def test_blanks_behind_a_header_are_no_part_of_it(server: Live) -> None:
    ids = [await server.publish() for _ in range(3)]
    async with await Client.get(server.port, "/prices/stream", last_event_id=f"{ids[0]} \t ") as client:
        assert await client.prices(2) == ids[1:]
        assert b"gap" not in client.raw


async def test_a_bad_header_leaves_the_query_its_say(server: Live) -> None:
    ids = [await server.publish() for _ in range(3)]
    first = ids[0] // 1000
    async with await Client.get(
        server.port, f"/prices/stream?since={first}", last_event_id="no id"
    ) as client:
        _, gap = await client.events(2)
        assert (gap.name, gap.data) == ("gap", {"from": 0, "to": first * 1000 - 1})
        assert await client.prices(3) == ids
    async with await Client.get(server.port, "/prices/stream?since=x", last_event_id="no id") as client:
        assert client.status == 400


async def test_before_the_first_price_an_id_of_old_is_told_what_is_lost(detach: bool) -> None:  # noqa: FBT001 - see server
    clock = ManualClock()
    async with live(clock, detach=detach) as server:
        old = clock.now() - 60_000
        async with await Client.get(server.port, "/prices/stream", last_event_id=str(old)) as client:
            _, gap = await client.events(2)
            assert (gap.name, gap.data) == ("gap", {"from": old + 1, "to": clock.now()})
        async with await Client.get(server.port, "/prices/stream") as client:
            await client.event()
            assert b"gap" not in client.raw


async def test_a_newcomer_is_told_how_old_the_last_price_is(detach: bool) -> None:  # noqa: FBT001 - see server
    clock = ManualClock()
    async with live(clock, detach=detach) as server:
        last = await server.publish("69420.25")
        await clock.advance(42)
        clock.step(86_400)
        await server.announce(Status.STALE, "No price for more than 300 s.")
        async with await Client.get(server.port, "/prices/stream") as client:
            status, price = await client.events(2)
            assert status.data["status"] == "stale"
            assert price.id == last
            assert (price.data["price"], price.data["status"], price.data["age"]) == (
                69420.25,
                "stale",
                42,
            )
            assert price.data["sources"] == 0
            fresh = await server.publish()
            assert await client.prices(1) == [fresh]


async def test_our_newest_price_is_not_in_the_future_though_our_clock_was_set_back(detach: bool) -> None:  # noqa: FBT001
    clock = ManualClock()
    async with live(clock, detach=detach) as server:
        newest = await server.publish()
        clock.step(-86_400)
        async with await Client.get(server.port, f"/prices/stream?since={newest // 1000}") as client:
            assert await client.prices(1) == [newest]
        async with await Client.get(server.port, f"/prices?since={newest // 1000}") as client:
            assert [row["id"] for row in json.loads(await client.body())] == [newest]


async def test_what_memory_has_lost_is_said_in_band(detach: bool) -> None:  # noqa: FBT001 - see server
    async with live(detach=detach, store_size=3) as server:
        ids = [await server.publish() for _ in range(8)]
        async with await Client.get(server.port, "/prices/stream", last_event_id=str(ids[0])) as client:
            _, gap = await client.events(2)
            assert (gap.name, gap.data) == ("gap", {"from": ids[0] + 1, "to": ids[5] - 1})
            assert await client.prices(3) == ids[5:]


async def test_history_older_than_the_ring_is_paged_from_the_store(detach: bool, tmp_path: object) -> None:  # noqa: FBT001
    async with live(detach=detach, store_size=10, store_url=f"sqlite:///{tmp_path}/prices.db") as server:
        ids = [await server.publish() for _ in range(1200)]
        async with await Client.get(server.port, f"/prices/stream?since={ids[0] // 1000}") as client:
            ids += [await server.publish() for _ in range(3)]
            assert await client.prices(1203) == ids
            assert b"gap" not in client.raw
            assert client.raw.count(b"event: status") == 1


@pytest.mark.parametrize("position", ["since=1", "last_event_id=999", "last_event_id=1000"])
async def test_what_others_put_into_the_store_before_our_time_is_replayed(
    server: Live, position: str
) -> None:
    ids = [await server.publish() for _ in range(3)]
    old = [a_tick(1000 * second) for second in (1, 2, 3)]
    await server.service.store.append(old)
    seen = [tick.id for tick in old if tick.id != 1000 or not position.endswith("1000")] + ids
    async with await Client.get(server.port, f"/prices/stream?{position}") as client:
        assert await client.prices(len(seen)) == seen
        assert b"gap" not in client.raw
        fresh = await server.publish()
        assert await client.prices(1) == [fresh]


async def test_a_change_of_status_is_an_event_before_its_price(server: Live) -> None:
    await server.publish()
    async with await Client.get(server.port, "/prices/stream") as client:
        await client.events(2)
        await server.publish(status=Status.DEGRADED, reason="2 exchanges agree.")
        status, price = await client.events(2)
        assert status.data["status"] == "degraded"
        assert status.data["reason"] == "2 exchanges agree."
        assert price.data["status"] == "degraded"
        await server.announce(Status.STALE, "Nobody answers.")
        assert (await client.event()).data["status"] == "stale"


async def test_silence_is_broken_by_heartbeats_without_an_id(detach: bool) -> None:  # noqa: FBT001 - see server
    async with live(detach=detach, heartbeat=1) as server:
        await server.publish()
        async with await Client.get(server.port, "/prices/stream") as client:
            await client.events(2)
            beat = await client.event()
            assert (beat.name, beat.id) == ("heartbeat", None)
            assert abs(beat.data["timestamp"] - server.clock.now() / 1000) < 60


async def test_head_gets_the_head_only(server: Live) -> None:
    async with await Client.get(server.port, "/prices/stream", method="HEAD", connection="close") as client:
        assert client.status == 200
        assert client.headers["content-type"].startswith("text/event-stream")
        assert await client.reader.read() == b""
        assert len(server.hub) == 0


async def test_options_and_preflight_are_answered(server: Live) -> None:
    async with await Client.get(server.port, "/prices/stream", method="OPTIONS") as client:
        assert client.status == 204
        assert client.headers["allow"] == "GET, HEAD, OPTIONS"
    preflight = {"origin": "https://example.com", "access_control_request_method": "GET"}
    async with await Client.get(
        server.port,
        "/prices/stream",
        method="OPTIONS",
        access_control_request_headers="last-event-id,cache-control",
        **preflight,
    ) as client:
        assert client.status == 200
        assert client.headers["access-control-allow-origin"] == "*"
        assert "last-event-id" in client.headers["access-control-allow-headers"].lower()
    async with await Client.get(server.port, "/prices/stream", origin="https://example.com") as client:
        assert client.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in client.headers


async def test_http_1_0_gets_a_bare_body_and_close(server: Live) -> None:
    current = await server.publish()
    async with await Client.get(server.port, "/prices/stream", version="1.0") as client:
        assert "transfer-encoding" not in client.headers
        assert client.headers["connection"] == "close"
        assert await client.prices(1) == [current]
        fresh = await server.publish()
        assert await client.prices(1) == [fresh]
        await server.hub.drain(0)
        with pytest.raises(EOFError):
            await asyncio.wait_for(_read_on(client), 30)


async def _read_on(client: Client) -> None:
    while True:
        await client.event()


async def test_a_pipelined_stream_follows_the_answer_before_it(server: Live) -> None:
    current = await server.publish()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    client = Client(reader, writer)
    for path in ("/healthz", "/prices/stream"):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    async with client:
        await client.head()
        assert (await client.body()).startswith(b'{"alive":true')
        client.headers = {}
        await client.head()
        assert client.headers["content-type"].startswith("text/event-stream")
        assert await client.prices(1) == [current]


async def test_the_end_is_clean_with_a_jittered_retry(server: Live) -> None:
    await server.publish()
    clients = [await Client.get(server.port, "/prices/stream") for _ in range(20)]
    for client in clients:
        await client.prices(1)
    await server.hub.drain(0.2)
    retries = set()
    for client in clients:
        final_retry = await client.event()
        assert final_retry.name == "heartbeat"
        retries.add(final_retry.retry)
        with pytest.raises(EOFError):
            await client.event()
        assert client.ended
        client.close()
    assert len(retries) > 10
    assert len(server.hub) == 0


async def test_a_stream_that_ends_amid_a_round_gets_no_more_of_it_and_holds_up_nobody(server: Live) -> None:
    server.hub.limits = HubLimits(slice=1)
    first, second, third = [await Client.get(server.port, "/prices/stream") for _ in range(3)]
    for client in first, second, third:
        await client.event()
    tick = a_tick(server.clock.now())
    # In this turn of the loop it goes to the first only.
    server.hub.publish(Update(server.hub.status, server.hub.reason, tick))
    server.hub.end(server.hub.streams[1], sse.retry(1000))
    async with asyncio.timeout(30):
        last = await server.publish()
    for client in first, third:
        assert await client.prices(2) == [tick.id, last]
    assert (await second.event()).retry == 1000
    with pytest.raises(EOFError):
        await second.event()
    for client in first, second, third:
        client.close()


EVENT_STREAM = "text/event-stream"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
BROWSERS = [
    {"sec_fetch_mode": "cors"},
    {"accept": EVENT_STREAM, "user_agent": FIREFOX},
    {"accept": EVENT_STREAM, "origin": "http://example.com"},
    {"accept": EVENT_STREAM, "referer": "http://192.0.2.1:8082/"},
    {"accept": "Text/Event-Stream, */*;q=0.1", "user_agent": "mozilla/4.0"},
]
OTHERS: list[dict[str, str]] = [
    {},
    {"user_agent": FIREFOX},
    {"origin": "http://example.com", "referer": "http://example.com/"},
    {"accept": EVENT_STREAM},
    {"accept": EVENT_STREAM, "user_agent": "python-httpx/0.28.1"},
    {"accept": "*/*", "user_agent": "curl/8.17.0"},
]


async def test_at_max_clients_browsers_are_sent_away_and_others_refused(detach: bool) -> None:  # noqa: FBT001 - see server
    async with live(detach=detach, max_clients=2) as server:
        inside = [await Client.get(server.port, "/prices/stream") for _ in range(2)]
        for client in inside:
            await client.event()
        for headers in BROWSERS:
            async with await Client.get(server.port, "/prices/stream", **headers) as browser:
                assert browser.status == 200, headers
                retry = await browser.event()
                assert retry.retry is not None
                assert 10_000 <= retry.retry <= 30_000
                with pytest.raises(EOFError):
                    await browser.event()
        for headers in OTHERS:
            async with await Client.get(server.port, "/prices/stream", **headers) as other:
                assert other.status == 503, headers
                assert 10 <= int(other.headers["retry-after"]) <= 30
        current = await server.publish()
        for client in inside:
            assert await client.prices(1) == [current]
            client.close()


async def test_nothing_is_left_of_clients_that_are_gone(server: Live) -> None:
    for _ in range(20):
        client = await Client.get(server.port, "/prices/stream")
        await client.event()
        client.close()
    state = server.server.server_state
    await eventually(lambda: not (len(server.hub) or state.connections or state.tasks))
