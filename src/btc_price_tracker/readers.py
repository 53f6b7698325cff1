"""How each metric of the table in `telemetry/metrics.py` is read from the parts of an instance."""

from collections.abc import Callable
from dataclasses import dataclass

from btc_price_tracker import __version__
from btc_price_tracker.broker.link import Link
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.telemetry.metrics import Readers, Reading
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.web.api.history import Gates
from btc_price_tracker.web.api.views import STATES, SourceView, source_views
from btc_price_tracker.web.limits import Limits
from btc_price_tracker.web.stream.canary import Canary


@dataclass(frozen=True, slots=True)
class Instance:
    """The parts of an instance that metrics are read from."""

    hub: Hub
    limits: Limits
    gates: Gates
    outbox: Outbox
    watchdog: Watchdog
    link: Link
    canary: Canary
    name: str
    recorded: bool  # whether the prices are played back


def readers(instance: Instance) -> Readers:
    """Return a reader for each metric that isn't a histogram."""
    hub, outbox, watchdog, link = instance.hub, instance.outbox, instance.watchdog, instance.link
    canary = instance.canary  # no client's stream
    return {
        "btc_build": lambda: {(__version__, str(instance.recorded).lower()): 1},
        "btc_price_usd": _of_latest(hub, lambda tick: float(tick.price)),
        "btc_price_spread_usd": _of_latest(hub, lambda tick: float(tick.spread)),
        "btc_price_sources": _of_latest(hub, lambda tick: tick.sources),
        "btc_price_age_seconds": _of_latest(hub, lambda tick: tick.quote_age / 1000),
        "btc_price_status": lambda: {(status,): status is hub.status for status in Status},
        "btc_prices_published": lambda: hub.published,
        "btc_streams_open": lambda: len(hub) - canary.is_open,
        "btc_streams_lagging": lambda: hub.lagging,
        "btc_streams_opened": lambda: hub.joined - canary.opened,
        "btc_streams_closed": lambda: {
            ("stalled",): hub.stalled,
            ("error",): hub.failed,
            ("age",): hub.aged,
        },
        "btc_streams_rejected": lambda: instance.limits.rejected,
        "btc_stream_events_sent": lambda: hub.writes,
        "btc_source_state": lambda: {
            (view.name, state): state == view.state for view in _views(hub) for state in STATES
        },
        "btc_source_used": lambda: {(view.name,): view.used for view in _views(hub)},
        "btc_source_latency_seconds": lambda: {
            (source.name,): source.latency / 1000
            for source in hub.update.sources
            if source.latency is not None
        },
        "btc_source_requests": lambda: {(source.name,): source.calls for source in hub.update.sources},
        "btc_source_request_failures": lambda: {
            (source.name,): source.failures for source in hub.update.sources
        },
        "btc_store_up": lambda: outbox.fault is None,
        "btc_store_queued": lambda: len(outbox),
        "btc_store_dropped": lambda: outbox.lost,
        "btc_broker_up": lambda: link.fault is None,
        "btc_leader": lambda: link.fault is None and hub.update.leader == instance.name,
        "btc_term": lambda: hub.update.term,
        "btc_history_queued": lambda: sum(gate.waiting for gate in instance.gates),
        "btc_history_rejected": lambda: sum(gate.refused for gate in instance.gates),
        "btc_event_loop_lag_seconds": lambda: watchdog.lag,
        "btc_event_loop_stalls": lambda: watchdog.stalls,
    }


def _of_latest(hub: Hub, value: Callable[[Tick], float]) -> Callable[[], Reading | None]:
    return lambda: None if hub.latest is None else value(hub.latest)


def _views(hub: Hub) -> list[SourceView]:
    return source_views(hub.update, hub.latest, hub.now())
