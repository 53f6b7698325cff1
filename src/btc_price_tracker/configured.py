"""What the settings name, made: the store, the broker, the sources and the rule."""

import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial

from pydantic import SecretStr

from btc_price_tracker.access.registry import Access
from btc_price_tracker.broker import Broker
from btc_price_tracker.broker.local import LocalBroker
from btc_price_tracker.broker.opening import open_broker
from btc_price_tracker.broker.options import History, Options
from btc_price_tracker.clock import Clock
from btc_price_tracker.http_client.traced import TracedClient
from btc_price_tracker.price import consensus, fallback
from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.fallback import Fallback
from btc_price_tracker.price.freshness import is_fresh
from btc_price_tracker.price.model import Policy, Tick
from btc_price_tracker.settings import Settings
from btc_price_tracker.settings.reloads import Reloads
from btc_price_tracker.settings.values import tokens_in
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.clocks import Clocks
from btc_price_tracker.sources.connect import connect
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.endpoint import open_client
from btc_price_tracker.sources.poller import Enough, Poller
from btc_price_tracker.sources.ratelimit import RateLimiter
from btc_price_tracker.sources.rates import Rates
from btc_price_tracker.sources.tether import TETHERS
from btc_price_tracker.sources.upstream import Upstream
from btc_price_tracker.store import OPERATION_TIMEOUT, Store, open_store, scheme_of
from btc_price_tracker.store.lazy import LazyStore
from btc_price_tracker.telemetry.tracing import NO_TRACER, Tracer
from btc_price_tracker.web.limits import StreamLimits
from btc_price_tracker.web.server.certificate import Certificate, certificate_of

A_DAY = 86400  # seconds


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


def broker_of(settings: Settings, clock: Clock, instance: str) -> Broker:
    """The broker that the settings name, not connected yet; without one, this process is the service."""
    if settings.broker_url is None:
        return LocalBroker()
    history = History(settings.store_size, settings.retention or A_DAY)
    return open_broker(settings.broker_url, Options(instance, history, clock=clock))


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


async def store_of(settings: Settings, clock: Clock, seconds: float) -> Store:
    """Open the store; a remote database, which may be unreachable now, on first use."""
    opener = _opener(settings, seconds)
    if scheme_of(settings.store_url).remote:
        return LazyStore(opener, monotonic=clock.monotonic)
    return await opener()


@asynccontextmanager
async def open_poller(
    settings: Settings,
    clock: Clock,
    time_limit: float,
    enough: Enough,
    *,
    recorded: bool = False,
    tracer: Tracer = NO_TRACER,
) -> AsyncIterator[Poller]:
    """The sources that the settings name, at their addresses, over one HTTP client; recorded ones need no proxy."""
    key = revealed(settings.coingecko_api_key) or ""
    async with open_client(trust_env=not recorded) as client:
        client.check(source_urls(settings))
        jitter = random.Random()  # nosec B311
        with_ = partial(connect, clock=clock, random=jitter, key=key, clocks=Clocks(clock))

        def at(definition: SourceDefinition, parent: RateLimiter | None = None) -> Upstream:
            traced = client if tracer is NO_TRACER else TracedClient(client, tracer, definition.name)
            return with_(definition, traced, parent=parent)

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


def revealed(secret: SecretStr | None) -> str | None:
    """The text of a secret, for who needs it."""
    return None if secret is None else secret.get_secret_value()


def enough_of(settings: Settings) -> Enough:
    """Whether answers suffice for a price, so that the poller need not wait for the rest."""
    rule = consensus.enough if settings.policy == "consensus" else fallback.enough
    return partial(rule, interval=round(settings.interval * 1000))


def policy_of(
    settings: Settings, recent: Sequence[Tick] = (), floor: int = 0, *, recorded: bool = False
) -> Policy:
    """The rule that the settings name. It goes on from recent ticks, unless only these or only it is recorded."""
    if recent and recent[-1].recorded != recorded:
        floor, recent = max(floor, recent[-1].id), ()
    rule = Consensus if settings.policy == "consensus" else Fallback
    return rule(settings.interval, recent, floor, recorded=recorded)


def stream_limits_of(settings: Settings) -> StreamLimits:
    """What bounds the open streams, and new ones."""
    return StreamLimits(
        settings.max_clients,
        settings.max_clients_per_ip,
        settings.connect_rate,
        settings.connect_rate_per_ip,
    )


def reloaded_certificate(settings: Settings, clock: Clock, reloads: Reloads) -> Certificate | None:
    """The certificate that the settings name, if any, and read again when it changes. Raises SettingsError."""
    certificate = certificate_of(settings, clock)
    if certificate is not None:
        reloads.add(certificate.files, certificate.reload)
    return certificate


def access_of(settings: Settings, reloads: Reloads) -> Access:
    """The access tokens that the settings name, those of a file read again when it changes. Raises TokensError."""
    access = Access(tokens_in(settings.access_tokens), revealed(settings.metrics_token), settings.tokens_file)
    if settings.tokens_file is not None:
        reloads.add([settings.tokens_file], access.reload)
    access.load()
    return access
