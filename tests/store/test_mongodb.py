"""MongoStore on mongoeco, which is not mongod: tests/databases/README.md."""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import BulkWriteError
from structlog.testing import capture_logs

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import Span, open_store
from btc_price_tracker.store.mongodb import MongoStore
from btc_price_tracker.store.mongodb.errors import only_duplicates
from btc_price_tracker.store.mongodb.expiry import Expiry, Indexes
from btc_price_tracker.store.mongodb.history import History
from btc_price_tracker.store.paging import pages
from databases.error_text import SECRET, full_text
from databases.mongo import MongoServer
from ports import free_port

DAY = 86_400_000  # ms
TIMEOUT = 60.0  # seconds: mongoeco is slow


def ticks(*tick_ids: int) -> list[Tick]:
    quotes = (AssessedQuote(source="kraken", kind=Kind.EXCHANGE, last=Decimal("1.0")),)
    return [
        Tick(each, Decimal("1.00"), Status.OK, 3, Decimal("0.10"), 0, "vote3/1", quotes) for each in tick_ids
    ]


@pytest.fixture
async def url(new_store_url: Callable[[str], Awaitable[str]]) -> str:
    return await new_store_url("mongodb")


@asynccontextmanager
async def opened(
    url: str, retention: int | None = None, operation_timeout: float = TIMEOUT
) -> AsyncIterator[MongoStore]:
    store = await open_store(url, capacity=1, retention=retention, operation_timeout=operation_timeout)
    assert isinstance(store, MongoStore)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def another_client(url: str) -> AsyncIterator[Any]:
    """The database as another client sees it."""
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        yield client.get_default_database()


async def ids(store: MongoStore) -> list[int]:
    return [tick.id async for page in pages(store, 0) for tick in page]


async def ttl(url: str) -> int | None:
    """The age in seconds at which the database expires a tick."""
    async with another_client(url) as database:
        index = (await database.ticks.index_information()).get("at_1")
    return None if index is None else int(index["expireAfterSeconds"])


async def test_document_has_cents_and_encoded_quotes(url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(1_764_000_000_123))
    async with another_client(url) as database:
        found = await database.ticks.find_one()
    assert (found["_id"], found["price"], found["spread"]) == (1_764_000_000_123, 100, 10)
    assert found["at"].isoformat() == "2025-11-24T16:00:00.123000"
    assert isinstance(found["quotes"], bytes)


async def test_damaged_quotes_affect_only_their_tick(url: str) -> None:
    async with opened(url) as store:
        await store.append(ticks(1, 2))
        async with another_client(url) as database:
            await database.ticks.update_one({"_id": 1}, {"$set": {"quotes": b"\0"}})
        with pytest.raises(StoreError, match="tick 1: quotes in an unknown format"):
            await store.get(1)
        assert await store.get(2) == ticks(2)[0]


async def test_concurrent_instances_store_each_id_once(url: str) -> None:
    async with opened(url) as one, opened(url) as other:
        batches = [ticks(*range(start, start + 6)) for start in range(1, 20, 3)]
        await asyncio.gather(*(store.append(batch) for batch in batches for store in (one, other)))
        assert await ids(one) == [*range(1, 25)]


async def test_write_error_other_than_duplicate_is_detected() -> None:
    duplicate, other = {"code": 11000}, {"code": 121}
    assert only_duplicates(BulkWriteError({"writeErrors": [duplicate, duplicate]}))
    assert not only_duplicates(BulkWriteError({"writeErrors": [duplicate, other]}))
    assert not only_duplicates(
        BulkWriteError({"writeErrors": [duplicate], "writeConcernErrors": [{"code": 64}]})
    )


async def test_write_concern_is_majority_unless_the_url_sets_one(url: str) -> None:
    async with opened(url) as store:
        assert store._ticks._collection.write_concern.document == {"w": "majority", "j": True}
    async with opened(f"{url}&w=1") as store:
        assert store._ticks._collection.write_concern.document == {"w": 1}


# Expiry


async def test_ttl_index_follows_retention(url: str) -> None:
    for retention, seconds in ((None, None), (DAY, 90_000), (2 * DAY, 176_400), (DAY, 90_000), (None, None)):
        async with opened(url, retention) as store:
            await store.append(ticks(1))
        assert await ttl(url) == seconds


FOREIGN: dict[str, dict[str, Any]] = {
    "a plain index": {"keys": "at"},
    "a plain index of another name": {"keys": "at", "name": "theirs"},
    "an index of our name on something else": {"keys": "price", "name": "at_1"},
    "a sparse index that expires": {
        "keys": "at",
        "name": "at_1",
        "sparse": True,
        "expireAfterSeconds": 5 * 10**8,
    },
    "an index of another name that expires": {
        "keys": "at",
        "name": "theirs",
        "expireAfterSeconds": 5 * 10**8,
    },
}


@pytest.mark.parametrize("index", FOREIGN)
async def test_foreign_index_is_left_unchanged_and_logged(url: str, index: str) -> None:
    expires = "expireAfterSeconds" in FOREIGN[index]
    async with another_client(url) as database:
        await database.ticks.create_index(**FOREIGN[index])
        before = await database.ticks.index_information()
        for retention, warned in ((DAY, True), (None, expires), (2 * DAY, True)):
            with capture_logs() as logs:
                async with opened(url, retention) as store:
                    await store.append(ticks(time.time_ns() // 1_000_000))
                    description = "with a TTL index" if expires else "without a TTL index"
                    assert description in await store.describe()
            assert await database.ticks.index_information() == before
            assert [entry["index"] for entry in logs] == [
                name for name in before if warned and name != "_id_"
            ]


async def test_index_on_another_field_has_no_effect(url: str) -> None:
    async with another_client(url) as database:
        for retention, seconds in ((DAY, 90_000), (2 * DAY, 176_400), (None, None)):
            async with opened(url, retention):
                pass
            assert await ttl(url) == seconds
            await database.ticks.create_index([("price", 1)])
            assert "price_1" in await database.ticks.index_information()


async def test_concurrent_creation_of_the_index_keeps_the_last(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(url, DAY):
        pass
    look, looks = Expiry._indexes, 0

    async def too_early(self: Expiry) -> Indexes:
        nonlocal looks
        looks += 1
        return {} if looks == 1 else await look(self)

    monkeypatch.setattr(Expiry, "_indexes", too_early)
    async with opened(url, 2 * DAY):
        pass
    assert await ttl(url) == 176_400


async def test_concurrent_removal_of_the_index_succeeds(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(url, DAY), another_client(url) as database:
        found: Indexes = await database.ticks.index_information()
        await database.ticks.drop_index("at_1")

    async def too_late(_: Expiry) -> Indexes:
        return found

    monkeypatch.setattr(Expiry, "_indexes", too_late)
    async with opened(url):
        pass
    assert await ttl(url) is None


async def test_retention_is_capped_at_the_limit_of_the_server(url: str) -> None:
    async with opened(url, 10**15):
        assert await ttl(url) == 2**31 - 1


async def test_expired_ticks_count_as_dropped(url: str) -> None:
    now = time.time_ns() // 1_000_000
    async with opened(url) as store:
        await store.append(ticks(now - 9 * DAY, now - 8 * DAY, now))
        assert await store.span() == Span(now - 9 * DAY, now, 0)
    async with opened(url, DAY) as store:
        assert await ids(store) == [now]
        assert await store.span() == Span(now, now, now - 1)
        assert await store.prune(now - DAY) == 0
        assert await store.span() == Span(now, now, now - 1)


async def test_last_id_survives_expiry_of_all_ticks(url: str) -> None:
    old = time.time_ns() // 1_000_000 - 9 * DAY
    async with opened(url) as store:
        await store.append(ticks(old, old + 5))
    async with opened(url, DAY) as store:
        assert await ids(store) == []
        assert await store.span() == Span(0, 0, old + 5)


async def test_prune_preserves_what_expired_before(url: str) -> None:
    now = time.time_ns() // 1_000_000
    async with opened(url) as store:
        await store.append(ticks(now - 9 * DAY, now - 8 * DAY, now - 5, now))
    async with opened(url, DAY) as store:
        assert await ids(store) == [now - 5, now]
        assert await store.prune(now) == 1
        assert await store.span() == Span(now, now, now - 5)
        await store.append(ticks(now - 9))
        assert await store.span() == Span(now - 9, now, now - 5)


async def test_deleted_history_document_is_created_again(url: str) -> None:
    old = time.time_ns() // 1_000_000 - 9 * DAY
    async with opened(url) as store, another_client(url) as database:
        await store.append(ticks(old, old + 1))
        await database.drop_collection("btc_price_tracker")
        assert await store.span() == Span(old, old + 1, 0)
        assert await store.prune(old + 1) == 1
        assert await store.span() == Span(old + 1, old + 1, old)
        await database.drop_collection("btc_price_tracker")
        await store.append(ticks(old + 2, old + 3))
        await database.ticks.delete_many({"_id": {"$lt": old + 3}})  # as the TTL index does
        assert await store.span() == Span(old + 3, old + 3, old + 2)


# Schema


async def test_newer_schema_is_refused(url: str) -> None:
    async with opened(url):
        pass
    async with another_client(url) as database:
        await database.btc_price_tracker.update_one({"_id": "schema"}, {"$set": {"version": 99}})
    with pytest.raises(StoreError, match=r"created by a newer version \(schema 99, this version supports 1"):
        await open_store(url, capacity=1, operation_timeout=TIMEOUT)


async def test_url_without_database_is_refused(mongo_server: MongoServer) -> None:
    with pytest.raises(StoreError, match="names no database; add one after the host, as in mongodb://"):
        await open_store(mongo_server.url(""), capacity=1, operation_timeout=TIMEOUT)


# Outages


@pytest.fixture
def cut_off() -> Iterator[None]:
    """Collect sockets that PyMongo leaves unclosed when connecting is cancelled, here rather than in a later test."""
    yield
    gc.collect()


ignore_unclosed = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


class TcpProxy:
    """A TCP proxy that can be closed and opened again."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = free_port()
        self.connections = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers += [writer, server_writer]
        self.connections += 1
        await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))
        self.connections -= 1


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.mark.usefixtures("cut_off")
@ignore_unclosed
async def test_outage_raises_until_the_server_is_back(
    mongo_server: MongoServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = TcpProxy(mongo_server.port)
    await proxy.open()
    async with opened(url.replace(f":{mongo_server.port}/", f":{proxy.port}/")) as store:
        await store.append(ticks(1))
        await proxy.close()
        monkeypatch.setattr(store, "_timeout", 0.3)
        for call in (store.append(ticks(2)), store.span(), store.prune(1), store.candles(60, 0, 60, 1)):
            with pytest.raises(StoreError, match=r"can't be reached|no response in time"):
                await call
        monkeypatch.setattr(store, "_timeout", TIMEOUT)
        await proxy.open()
        await store.append(ticks(2))
        assert await ids(store) == [1, 2]
    await proxy.close()


@pytest.mark.usefixtures("cut_off")
@ignore_unclosed
async def test_cancelled_open_leaves_no_connection(
    mongo_server: MongoServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = asyncio.Event()

    async def create(_: History) -> None:
        connected.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(History, "create", create)
    proxy = TcpProxy(mongo_server.port)
    await proxy.open()
    opening = asyncio.create_task(
        open_store(
            url.replace(f":{mongo_server.port}/", f":{proxy.port}/"), capacity=1, operation_timeout=TIMEOUT
        )
    )
    await connected.wait()
    assert proxy.connections
    opening.cancel()
    await asyncio.wait({opening})
    async with asyncio.timeout(30):
        while proxy.connections:
            await asyncio.sleep(0)
    await proxy.close()


@pytest.mark.usefixtures("cut_off")
@ignore_unclosed
async def test_connecting_to_a_silent_host_times_out() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(StoreError, match="no response in time"),
    ):
        await open_store(
            f"mongodb://127.0.0.1:{silent.getsockname()[1]}/prices", capacity=1, operation_timeout=0.2
        )


# Error messages


@pytest.mark.usefixtures("cut_off")
@ignore_unclosed
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mongodb://user:hunter2@127.0.0.1:1/prices", "check host and port"),
        ("mongodb://user:hunter2@nowhere.invalid/prices", "check host and port"),
        ("mongodb+srv://user:hunter2@nowhere.invalid/prices", "STORE_URL"),
        ("mongodb://user:a/hunter2@127.0.0.1:1/prices", "can't be parsed; write mongodb://"),
        ("mongodb://user:a:hunter2@127.0.0.1:1/prices", "can't be parsed"),
        ("mongodb://user:a@hunter2@127.0.0.1:1/prices", "can't be parsed"),
        ("mongodb://user:%hunter2@127.0.0.1:1/prices", "can't be parsed"),
        ("mongodb://user:hunter2@127.0.0.1:1/prices?tls=true&tlsCAFile=/none.pem", "/none.pem: No such file"),
        ("mongodb://user:hunter2@127.0.0.1:1/", "names no database"),
        ("mongodb://user:hunter2@127.0.0.1:1/a b?", "STORE_URL"),
    ],
)
async def test_errors_of_a_url_omit_its_password(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        await open_store(url, capacity=1, operation_timeout=0.3)
    assert SECRET not in full_text(caught.value)
    assert "Errno" not in str(caught.value)


async def test_wrong_password_is_refused_and_not_shown(mongo_server: MongoServer) -> None:
    url = mongo_server.url("prices", password="hunter2 wrong")
    with pytest.raises(StoreError, match="Authentication failed") as caught:
        await open_store(url, capacity=1, operation_timeout=TIMEOUT)
    assert SECRET not in full_text(caught.value)


async def test_repr_omits_the_password(url: str) -> None:
    async with opened(url) as store:
        assert SECRET not in f"{store!r}{vars(store)!r}"
