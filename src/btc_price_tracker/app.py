"""The composition root: settings become parts, parts become one task group. Only this file names implementations."""

import asyncio
import gc
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

import structlog
from msgspec import structs
from pydantic import SecretStr
from starlette.types import ASGIApp

from btc_price_tracker import pipeline
from btc_price_tracker.broker import Broker
from btc_price_tracker.broker.local import LocalBroker
from btc_price_tracker.broker.timed import TimedBroker
from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.fanout import sse
from btc_price_tracker.fanout.current import INITIAL
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.price import consensus, fallback
from btc_price_tracker.price.clock_check import ClockCheck
from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.fallback import Fallback
from btc_price_tracker.price.freshness import is_fresh
from btc_price_tracker.price.model import Policy, Tick, Update
from btc_price_tracker.readers import Instance, readers
from btc_price_tracker.settings import Settings
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.clocks import Clocks
from btc_price_tracker.sources.connect import connect
from btc_price_tracker.sources.endpoint import open_client
from btc_price_tracker.sources.poller import MAX_TIME_LIMIT, Enough, Poller, round_time_limit
from btc_price_tracker.sources.rates import Rates
from btc_price_tracker.sources.tether import TETHERS
from btc_price_tracker.store import OPERATION_TIMEOUT, Store, open_store, scheme_of
from btc_price_tracker.store.lazy import LazyStore
from btc_price_tracker.store.outbox import Outbox, OutboxLimits
from btc_price_tracker.store.restore import restore
from btc_price_tracker.store.timed import TimedStore
from btc_price_tracker.telemetry.metrics import Metrics
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.web.api.routes import Parts, application
from btc_price_tracker.web.api.views import SourceView, source_views
from btc_price_tracker.web.limits import Limits
from btc_price_tracker.web.server.server import listen, server
from btc_price_tracker.web.stream.shared import Streams

A_DAY = 86400  # seconds
ENDED_PER_SECOND = 1000  # streams at shutdown: slowly enough that those who come back don't come as a storm

log = structlog.get_logger(__name__)


Loop = Callable[[], Coroutine[None, None, None]]  # to be run for as long as the service


@dataclass(frozen=True, slots=True)
class Service:
    """Everything made and nothing running yet."""

    hub: Hub
    store: Store
    outbox: Outbox
    broker: Broker
    application: ASGIApp
    detached: Callable[[], int]  # number of streams that have left the HTTP server
    lead: Loop  # one term: on the one instance that polls the sources
    serve: tuple[Loop, ...]  # on every instance


async def run(settings: Settings, origin: str | None = None) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; `origin` says where the prices were recorded, if they were.

    Raises InvalidStoreUrl, StoreError or OSError where the store can't be opened or the address can't be had.
    """
    stop = _on_stop_signal()
    sockets = listen(settings.host, settings.port)
    async with compose(settings, SystemClock(), origin) as service, asyncio.TaskGroup() as tasks:
        serving = server(service.application, settings.keep_alive, service.detached)
        ended = tasks.create_task(serving.serve(sockets=sockets))
        running = [tasks.create_task(loop()) for loop in (service.lead, *service.serve)]
        gc.freeze()  # what lives as long as the process need not be looked through again and again
        log.info("serving", url=_url(settings.host, sockets[0].getsockname()[1]))
        await stop.wait()
        log.info("shutting down", streams=len(service.hub))
        await service.hub.drain(len(service.hub) / ENDED_PER_SECOND)
        serving.stop()
        await ended
        for task in running:
            task.cancel()


async def poll_once(settings: Settings) -> tuple[Update, list[SourceView]]:
    """One round without keeping or publishing anything: what it came to, and each source as `/sources` has it."""
    clock = SystemClock()
    async with _open_poller(settings, clock, MAX_TIME_LIMIT, enough=lambda *_: False) as poller:
        update = _policy(settings).decide(await poller.poll(), clock.now())
        update = structs.replace(update, sources=tuple(poller.states()))
        return update, source_views(update, update.tick, clock.now())


def source_urls(settings: Settings) -> list[str]:
    """Return the base URLs of all sources that will be polled."""
    in_tethers = any(SOURCES[name].currency == "USDT" for name in settings.sources)
    names = dict.fromkeys([*settings.sources, *(TETHERS if in_tethers else ())])
    return list(map(settings.url_of, names))


@asynccontextmanager
async def open_configured_store(settings: Settings) -> AsyncIterator[Store]:
    """The store that the settings name, for as long as the caller needs it. Raises StoreError."""
    store = await _opener(settings)()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def compose(
    settings: Settings,
    clock: Clock,
    origin: str | None = None,
    *,
    detach: bool = True,
    outbox_limits: OutboxLimits | None = None,
    store_timeout: float = OPERATION_TIMEOUT,
) -> AsyncIterator[Service]:
    """Make the parts and, at the end, release them. With `detach` False, streams stay with the HTTP server.

    `store_timeout`, in seconds, bounds an operation of a store that is a database.
    """
    recorded = origin is not None
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        store = await _store(settings, clock, store_timeout)
        stack.push_async_callback(store.close)
        timed = TimedStore(store, metrics.observer("btc_store_operation_seconds"))
        restored = await restore(timed, settings.store_size, clock.now(), sse.price)
        ring, last = Ring(settings.store_size, restored.floor, restored.frames), restored.last
        time_limit, enough = round_time_limit(settings.interval), _enough(settings)
        opening = _open_poller(settings, clock, time_limit, enough, recorded=recorded)
        poller = await stack.enter_async_context(opening)
        initial = structs.replace(INITIAL, sources=tuple(poller.states()))
        hub = Hub(ring, clock, settings.heartbeat, last, initial)
        reactor = Reactor(hub) if detach and Reactor.available() else None
        if reactor is not None:
            stack.callback(reactor.close)
        outbox = Outbox(timed, clock, round(A_DAY / settings.interval), outbox_limits)
        stack.push_async_callback(outbox.close)
        broker = TimedBroker(LocalBroker(), metrics.observer("btc_broker_operation_seconds"))
        watchdog = Watchdog(clock)
        limits = Limits(hub, settings.max_clients)
        parts = Parts(
            streams=Streams(hub, ring, timed, outbox.lost_ranges, reactor),
            limits=limits,
            outbox=outbox,
            clock=clock,
            interval=settings.interval,
            watchdog=watchdog,
            cors_origins=settings.cors_origins,
            origin=origin,
            metrics=metrics,
            metrics_token=_revealed(settings.metrics_token),
        )
        metrics.read_from(readers(Instance(hub, limits, parts.gates, outbox, watchdog, recorded)))
        rounds = pipeline.every(settings.interval, clock)
        serve: list[Loop] = [partial(pipeline.deliver, broker, hub)]
        serve += [hub.watch, outbox.recover, watchdog.watch]
        check = ClockCheck(clock, recorded=recorded)
        if settings.retention:
            serve.append(partial(pipeline.forget, timed, clock, settings.retention, check.time))

        async def lead() -> None:
            policy = _policy(settings, restored.recent, ring.floor, recorded=recorded)
            await pipeline.produce(rounds, poller, check, policy, outbox, broker)

        detached = reactor.__len__ if reactor is not None else lambda: 0
        yield Service(hub, store, outbox, broker, application(parts), detached, lead, tuple(serve))


def _opener(
    settings: Settings, seconds: float = OPERATION_TIMEOUT
) -> Callable[[], Coroutine[None, None, Store]]:
    """Return a function that opens the store that the settings name."""
    return partial(
        open_store,
        settings.store_url,
        capacity=settings.store_size,
        retention=settings.retention * 1000 or None,  # ms
        operation_timeout=seconds,
    )


async def _store(settings: Settings, clock: Clock, seconds: float) -> Store:
    """Open the store; a remote database, which may be unreachable now, on first use."""
    opener = _opener(settings, seconds)
    if scheme_of(settings.store_url).remote:
        return LazyStore(opener, monotonic=clock.monotonic)
    return await opener()


@asynccontextmanager
async def _open_poller(
    settings: Settings, clock: Clock, time_limit: float, enough: Enough, *, recorded: bool = False
) -> AsyncIterator[Poller]:
    """The sources that the settings name, at their addresses, over one HTTP client; recorded ones need no proxy."""
    key = _revealed(settings.coingecko_api_key) or ""
    async with open_client(trust_env=not recorded) as client:
        client.check(source_urls(settings))
        at = partial(
            connect, client=client, clock=clock, random=random.Random(), key=key, clocks=Clocks(clock)
        )
        sources = [at(replace(SOURCES[name], url=settings.url_of(name))) for name in settings.sources]
        limiters = {source.name: source.rate_limiter for source in sources}
        rates = {
            name: at(replace(tether, url=settings.url_of(name)), parent=limiters.get(name))
            for name, tether in TETHERS.items()
        }
        poller = Poller(
            sources=sources,
            clock=clock,
            time_limit=time_limit,
            fresh=partial(is_fresh, interval=round(settings.interval * 1000)),
            enough=enough,
            in_order=settings.policy == "fallback",
            rates=Rates(rates, clock) if any(source.currency == "USDT" for source in sources) else None,
        )
        async with aclosing(poller):
            yield poller


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _enough(settings: Settings) -> Enough:
    """Whether answers suffice for a price, so that the poller need not wait for the rest."""
    rule = consensus.enough if settings.policy == "consensus" else fallback.enough
    return partial(rule, interval=round(settings.interval * 1000))


def _policy(
    settings: Settings, recent: Sequence[Tick] = (), floor: int = 0, *, recorded: bool = False
) -> Policy:
    """The rule that the settings name. It goes on from recent ticks, unless only these or only it is recorded."""
    if recent and recent[-1].recorded != recorded:
        floor, recent = max(floor, recent[-1].id), ()
    rule = Consensus if settings.policy == "consensus" else Fallback
    return rule(settings.interval, recent, floor, recorded=recorded)


def _on_stop_signal() -> asyncio.Event:
    """Return an event that the first SIGTERM, SIGINT or SIGHUP sets; a second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            loop.add_signal_handler(number, on_signal, number)
    return stop


def _url(host: str, port: int) -> str:
    """The address as a person would type it."""
    local = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound
    name = "localhost" if host in local else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
