"""The composition root: settings become parts, parts become one task group.

Only this file and configured.py name implementations.
"""

import asyncio
import gc
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import structlog
from msgspec import structs
from starlette.types import ASGIApp

from btc_price_tracker import pipeline
from btc_price_tracker.backend import open_backend
from btc_price_tracker.broker import Broker, Term
from btc_price_tracker.broker.alone import Alone
from btc_price_tracker.broker.link import Link
from btc_price_tracker.broker.trial import round_trip
from btc_price_tracker.clock import Clock, SystemClock
from btc_price_tracker.configured import (
    A_DAY,
    access_of,
    broker_of,
    enough_of,
    open_poller,
    policy_of,
    reloaded_certificate,
    stream_limits_of,
)
from btc_price_tracker.errors import BrokerUnavailable
from btc_price_tracker.fanout.current import INITIAL
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.membership import HubLimits
from btc_price_tracker.fanout.reactor import Reactor
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.fanout.spans import BroadcastSpans
from btc_price_tracker.price.clock_check import ClockCheck
from btc_price_tracker.price.model import Answer, Policy, Update
from btc_price_tracker.readers import readers
from btc_price_tracker.settings import Settings
from btc_price_tracker.settings.reloads import Reloads
from btc_price_tracker.sources.poller import MAX_TIME_LIMIT, round_time_limit
from btc_price_tracker.sources.upstream import Upstream
from btc_price_tracker.store import OPERATION_TIMEOUT, Store
from btc_price_tracker.store.outbox import Outbox, OutboxLimits
from btc_price_tracker.store.retention import forget
from btc_price_tracker.succession import Candidate, Publications
from btc_price_tracker.telemetry.gc_pauses import GcPauses
from btc_price_tracker.telemetry.metrics import Metrics
from btc_price_tracker.telemetry.tracing_setup import open_tracer
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.web.access.revocation import end_revoked
from btc_price_tracker.web.address.trusted import Trusted
from btc_price_tracker.web.api.routes import Parts, application
from btc_price_tracker.web.api.views import SourceView, source_views
from btc_price_tracker.web.limits import Limits
from btc_price_tracker.web.rates import Rates
from btc_price_tracker.web.server.certificate import Certificate
from btc_price_tracker.web.server.server import listen, server
from btc_price_tracker.web.server.sockets import Peers
from btc_price_tracker.web.stream.canary import Canary
from btc_price_tracker.web.stream.shared import Streams

PROBE_LIMIT = 15.0  # seconds for connecting to the broker and a probe there and back
PEER_WAIT = 30.0  # seconds that an instance may be behind another, as far as their clocks may differ
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
    link: Link
    canary: Canary
    application: ASGIApp
    certificate: Certificate | None  # None: without TLS
    detached: Callable[[], int]  # number of streams that have left the HTTP server
    peers: Peers
    lead: Loop  # one term: on the one instance that polls the sources
    serve: tuple[Loop, ...]  # on every instance
    reloads: Reloads  # what SIGHUP reads again


async def run(settings: Settings, origin: str | None = None) -> None:
    """Serve until SIGTERM or SIGINT or, where nothing is to be read again, SIGHUP.

    `origin` says where the prices were recorded, if they were.

    Raises InvalidStoreUrl, StoreError, TokensError or OSError where the store or the tokens can't be read or the
    address can't be had, and SettingsError where the certificate can't be used.
    """
    stop = _on_stop_signal()
    if settings.tokens_file is not None or settings.tls_cert is not None:  # which are about to be read
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    sockets = listen(settings.host, settings.port, reuse_port=settings.reuse_port)
    async with compose(settings, SystemClock(), origin) as service, asyncio.TaskGroup() as tasks:
        if service.reloads:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.reloads.all)
        serving = server(
            service.application,
            settings.keep_alive,
            service.detached,
            service.peers,
            certificate=service.certificate,
        )
        ended = tasks.create_task(serving.serve(sockets=sockets))
        loops = (service.lead, *service.serve, service.canary.watch)
        running = [tasks.create_task(loop()) for loop in loops]
        gc.freeze()  # what lives as long as the process need not be looked through again and again
        log.info("serving", url=_url(settings, sockets[0].getsockname()[1]))
        await stop.wait()
        log.info("shutting down", streams=len(service.hub) - service.canary.is_open)
        await service.hub.drain(len(service.hub) / ENDED_PER_SECOND)
        serving.stop()
        await ended
        for task in running:
            task.cancel()


class Poll(NamedTuple):
    """The result of one round: each source as `/sources` has it, and what it answered."""

    update: Update
    views: list[SourceView]
    answers: list[Answer]


async def poll_once(settings: Settings) -> Poll:
    """One round without keeping or publishing anything."""
    clock = SystemClock()
    async with open_poller(settings, clock, MAX_TIME_LIMIT, enough=lambda *_: False) as poller:
        answers = await poller.poll()
        update = policy_of(settings).decide(answers, clock.now())
        update = structs.replace(update, sources=tuple(poller.states()))
        return Poll(update, source_views(update, update.tick, clock.now()), answers)


async def probe_broker(settings: Settings, seconds: float = PROBE_LIMIT) -> float | None:
    """Send a probe through the broker and back; return how many seconds that took, or None without BROKER_URL.

    Raises BrokerError, also if it takes longer than `seconds`.
    """
    if settings.broker_url is None:
        return None
    broker = broker_of(settings, SystemClock(), f"check:{secrets.token_hex(4)}")
    try:
        async with asyncio.timeout(seconds):
            return await round_trip(broker)
    except TimeoutError:
        raise BrokerUnavailable(f"the broker has carried no probe within {seconds:g} s") from None
    finally:
        await broker.aclose()


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
    instance = f"{socket.gethostname()}:{settings.port}:{secrets.token_hex(2)}"
    async with AsyncExitStack() as stack:
        reloads = Reloads(clock)
        certificate, access = reloaded_certificate(settings, clock, reloads), access_of(settings, reloads)
        metrics = Metrics()
        tracer = open_tracer(os.environ, instance)
        stack.push_async_callback(tracer.aclose)
        opening_backend = open_backend(
            settings, clock, instance, metrics, outbox_limits=outbox_limits, store_timeout=store_timeout
        )
        backend = await stack.enter_async_context(opening_backend)
        broker, link, outbox, restored = backend.broker, backend.link, backend.outbox, backend.restored
        ring, last = Ring(settings.store_size, restored.floor, restored.frames), restored.last
        time_limit, enough = round_time_limit(settings.interval), enough_of(settings)
        opening = open_poller(settings, clock, time_limit, enough, recorded=recorded, tracer=tracer)
        poller = await stack.enter_async_context(opening)
        initial = structs.replace(INITIAL, sources=tuple(poller.states()))
        hub_limits = HubLimits(max_age=settings.max_stream_age)
        hub = Hub(ring, clock, settings.heartbeat, last, initial, hub_limits, spans=BroadcastSpans(tracer))
        reactor = None
        if detach and Reactor.available():
            reactor = Reactor(hub)
            stack.callback(reactor.close)
        canary = Canary(hub, reactor, clock)
        watchdog = Watchdog(clock)
        parts = Parts(
            streams=Streams(
                hub,
                ring,
                backend.store,
                outbox.lost_ranges,
                reactor,
                peer_wait=PEER_WAIT if settings.broker_url is not None else 0,
            ),
            limits=Limits(hub, stream_limits_of(settings)),
            request_rates=Rates(settings.request_rate_per_ip),
            peers=Peers(Trusted(settings.trusted_proxies)),
            outbox=outbox,
            store_success=backend.store_success,
            canary=canary,
            link=link,
            instance=instance,
            clock=clock,
            interval=settings.interval,
            watchdog=watchdog,
            cors_origins=settings.cors_origins,
            allowed_hosts=settings.allowed_hosts,
            certificate=certificate,
            origin=origin,
            metrics=metrics,
            access=access,
            tracer=tracer,
        )
        check = ClockCheck(clock, recorded=recorded)
        rounds = pipeline.Rounds(settings.interval, poller, check, instance, tracer)
        pauses = GcPauses()
        stack.enter_context(pauses.measured())
        sources = [each for each in poller.all_sources() if isinstance(each, Upstream)]
        metrics.read_from(readers(parts, sources, rounds.meters, pauses))
        alone = Alone(partial(pipeline.show, hub=hub), size=round(A_DAY / settings.interval))
        lead, serve = _loops(settings, rounds, Candidate(broker, link, alone, hub, backend.store, outbox))
        detached = reactor.__len__ if reactor is not None else lambda: 0
        loops: list[Loop] = [*serve, hub.watch, outbox.recover, watchdog.watch, reloads.watch]
        loops.append(partial(end_revoked, access, hub))
        if certificate is not None:
            loops.append(certificate.watch)
        app = application(parts)
        yield Service(
            hub,
            backend.untimed_store,
            outbox,
            broker,
            link,
            canary,
            app,
            certificate,
            detached,
            parts.peers,
            lead,
            tuple(loops),
            reloads,
        )


def _loops(
    settings: Settings, rounds: pipeline.Rounds, candidate: Candidate
) -> tuple[Loop, tuple[Loop, ...]]:
    """What leads, and what serves, on one instance."""
    is_shared, clock, polling = settings.broker_url is not None, rounds.poller.clock, asyncio.Lock()
    broker, link, alone, hub = candidate.broker, candidate.link, candidate.alone, candidate.hub
    keep = candidate.outbox.keep

    def new_policy(last: int = 0) -> Policy:
        """Continue after every id that this instance knows of, and after `last`."""
        return policy_of(settings, tuple(link.recent), max(last, hub.newest), recorded=rounds.check.recorded)

    async def run_term(term: Term) -> None:
        async with polling:
            publications = await candidate.succeed(term) if is_shared else Publications(term, term.last)
            updates = rounds.updates(new_policy(publications.last), resigns=is_shared)
            producing = pipeline.produce(
                updates, publications.publish, keep, durable_first=not is_shared, tracer=rounds.tracer
            )
            if settings.retention:
                pruning = forget(candidate.store, clock, settings.retention, rounds.check.time)
                await pipeline.first_of(producing, pruning)
            else:
                await producing

    serve: list[Loop] = [partial(pipeline.deliver, broker, hub, link, alone)]
    if is_shared:
        serve += [
            partial(pipeline.watch, broker, link, clock),
            partial(pipeline.poll_alone, rounds, new_policy, alone, hub, link, polling),
        ]
    return partial(pipeline.lead, broker, run_term, link), tuple(serve)


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


def _url(settings: Settings, port: int) -> str:
    """The address as a person would type it."""
    local = ("127.0.0.1", "::1", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound
    return settings.url_at("localhost" if settings.host in local else settings.host, port)
