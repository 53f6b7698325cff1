"""How each metric of the table in `telemetry/table.py` is read from the parts of an instance."""

from collections.abc import Callable, Mapping, Sequence

from btc_price_tracker import __version__
from btc_price_tracker.broker.link import Link, TermEnd
from btc_price_tracker.fanout.counts import Reason
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.price.meters import RoundMeters
from btc_price_tracker.price.model import QuoteState, Status, Tick
from btc_price_tracker.sources.breaker import Circuit
from btc_price_tracker.sources.meters import OUTCOMES
from btc_price_tracker.sources.upstream import Upstream
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.telemetry.gc_pauses import GcPauses
from btc_price_tracker.telemetry.log_counts import LEVELS, LOG_COUNTS
from btc_price_tracker.telemetry.metrics import Reader, Readers, Reading
from btc_price_tracker.telemetry.watchdog import Watchdog
from btc_price_tracker.web.api.history import Gates
from btc_price_tracker.web.api.routes import Parts
from btc_price_tracker.web.api.views import BASIS_POINTS, STATES, SourceView, source_views
from btc_price_tracker.web.limits import Limits
from btc_price_tracker.web.middleware.measurement import Requests
from btc_price_tracker.web.stream.canary import Canary


def readers(parts: Parts, sources: Sequence[Upstream], rounds: RoundMeters, gc_pauses: GcPauses) -> Readers:
    """Return a reader for each metric that has no observer.

    `sources` are those that this instance polls when it leads, those of the USDT rate included.
    """
    hub, recorded = parts.streams.hub, str(parts.origin is not None).lower()
    return {
        "btc_build": lambda: {(__version__, recorded): 1},
        **_price(hub, rounds),
        **_streams(hub, parts.limits, parts.canary),
        **_reported_sources(hub),
        **_polled_sources(hub, sources, rounds),
        **_store(parts.outbox, parts.gates),
        **_broker(parts.link, hub, parts.instance),
        **_process(parts.watchdog, gc_pauses, parts.requests),
        "btc_http_requests_rejected": parts.rejected_requests.counts.total,
        "btc_connections_refused": lambda: _by_label(parts.peers.refused.counts),
    }


def _price(hub: Hub, rounds: RoundMeters) -> dict[str, Reader]:
    return {
        "btc_price_usd": _of_latest(hub, lambda tick: float(tick.price)),
        "btc_price_spread_usd": _of_latest(hub, lambda tick: float(tick.spread)),
        "btc_price_sources": _of_latest(hub, lambda tick: tick.sources),
        "btc_price_age_seconds": _of_latest(hub, lambda tick: tick.quote_age / 1000),
        "btc_price_status": lambda: {(status,): status is hub.status for status in Status},
        "btc_prices_published": lambda: hub.published,
        "btc_clock_behind_seconds": lambda: hub.clock_behind,
        "btc_rounds": lambda: {(status,): rounds.rounds[status] for status in Status},
        "btc_round_seconds": lambda: rounds.seconds,
        "btc_round_quotes": lambda: {
            (state,): sum(quote.state is state for quote in hub.update.quotes) for state in QuoteState
        },
        "btc_quote_to_publication_seconds": lambda: {
            (source,): delays for source, delays in rounds.quote_delays.items()
        },
    }


def _streams(hub: Hub, limits: Limits, canary: Canary) -> dict[str, Reader]:
    """Those of clients: without the canary."""
    counts = hub.counts
    return {
        "btc_streams_open": lambda: len(hub) - canary.is_open,
        "btc_streams_max": lambda: limits.max.open,
        "btc_streams_lagging": lambda: hub.lagging,
        "btc_streams_opened": lambda: counts.joined + counts.abandoned - canary.opened,
        "btc_streams_resumed": lambda: counts.resumed,
        "btc_stream_resume_depth_seconds": lambda: counts.depths,
        "btc_stream_duration_seconds": lambda: counts.durations,
        "btc_streams_closed": lambda: {(reason,): counts.closed[reason] for reason in Reason},
        "btc_streams_rejected": lambda: _by_label(limits.rejected.counts),
        "btc_streams_fallen_behind": lambda: counts.fallen_behind,
        "btc_stream_lag_seconds": lambda: hub.lag,
        "btc_stream_events_sent": lambda: counts.events,
        "btc_stream_sent_bytes": lambda: counts.size,
        "btc_stream_gaps": lambda: counts.gaps,
        "btc_broadcast_seconds": lambda: counts.broadcasts,
        "btc_stream_delivery_seconds": lambda: counts.deliveries,
    }


def _reported_sources(hub: Hub) -> dict[str, Reader]:
    """Of the last update: the same on every instance."""

    def views() -> Sequence[SourceView]:
        return source_views(hub.update, hub.latest, hub.now())

    return {
        "btc_source_state": lambda: {
            (view.name, state): state == view.state for view in views() for state in STATES
        },
        "btc_source_used": lambda: {(view.name,): view.used for view in views()},
        "btc_source_excluded": lambda: {(view.name,): view.state == QuoteState.EXCLUDED for view in views()},
        "btc_source_quote_age_seconds": lambda: {
            (view.name,): view.age for view in views() if view.age is not None
        },
        "btc_source_deviation_ratio": lambda: {
            (view.name,): view.deviation_bp / BASIS_POINTS
            for view in views()
            if view.deviation_bp is not None
        },
        "btc_source_latency_seconds": lambda: {
            (source.name,): source.latency / 1000
            for source in hub.update.sources
            if source.latency is not None
        },
        "btc_source_requests": lambda: {(source.name,): source.calls for source in hub.update.sources},
        "btc_source_request_failures": lambda: {
            (source.name,): source.failures for source in hub.update.sources
        },
        "btc_source_quota_wait_seconds": lambda: {(view.name,): view.next_try_s for view in views()},
        "btc_source_quota_spacing_seconds": lambda: {
            (source.name,): source.spacing for source in hub.update.sources
        },
    }


def _polled_sources(hub: Hub, sources: Sequence[Upstream], rounds: RoundMeters) -> dict[str, Reader]:
    """What this instance has seen of the sources by itself, those of the USDT rate included."""
    return {
        "btc_source_request_seconds": lambda: {(source.name,): source.meters.seconds for source in sources},
        "btc_source_responses": lambda: {
            (source.name, outcome): source.meters.outcomes[outcome]
            for source in sources
            for outcome in OUTCOMES
        },
        "btc_source_retries": lambda: {(source.name,): source.meters.retries for source in sources},
        "btc_source_circuit": lambda: {
            (source.name, circuit): circuit is source.circuit for source in sources for circuit in Circuit
        },
        "btc_source_circuit_changes": lambda: {
            (source.name, circuit): source.meters.circuits[circuit]
            for source in sources
            for circuit in Circuit
        },
        "btc_source_quotes": lambda: {
            (source.name, state): rounds.quotes[source.name, state]
            for source in hub.update.sources
            for state in QuoteState
        },
    }


def _store(outbox: Outbox, gates: Gates) -> dict[str, Reader]:
    return {
        "btc_store_up": lambda: outbox.fault is None,
        "btc_store_outages": lambda: outbox.outages,
        "btc_store_queued": lambda: len(outbox),
        "btc_store_queue_age_seconds": lambda: outbox.waiting,
        "btc_store_dropped": lambda: outbox.lost,
        "btc_history_queued": lambda: sum(gate.waiting for gate in gates),
        "btc_history_rejected": lambda: sum(gate.refused for gate in gates),
    }


def _broker(link: Link, hub: Hub, instance: str) -> dict[str, Reader]:
    return {
        "btc_broker_up": lambda: link.fault is None,
        "btc_broker_outages": lambda: link.outages,
        "btc_broker_delivery_seconds": lambda: link.deliveries,
        "btc_broker_update_age_seconds": lambda: link.silence,
        "btc_leader": lambda: link.fault is None and hub.update.leader == instance,
        "btc_term": lambda: hub.update.term,
        "btc_terms_begun": lambda: link.terms_begun,
        "btc_terms_ended": lambda: {(end,): link.terms_ended[end] for end in TermEnd},
    }


def _process(watchdog: Watchdog, gc_pauses: GcPauses, requests: Requests) -> dict[str, Reader]:
    return {
        "btc_event_loop_lag_seconds": lambda: watchdog.lag,
        "btc_event_loop_stalls": lambda: watchdog.stalls,
        "btc_gc_pause_seconds": lambda: {
            (str(generation),): pauses for generation, pauses in enumerate(gc_pauses.by_generation)
        },
        "btc_http_requests": lambda: {key: requests.by_status[key] for key in requests.by_status},
        "btc_http_request_seconds": lambda: {
            (route,): seconds for route, seconds in requests.seconds.items()
        },
        "btc_http_requests_in_progress": lambda: requests.in_progress,
        "btc_log_lines": lambda: {(level,): LOG_COUNTS.lines[level] for level in LEVELS},
        "btc_log_lines_suppressed": lambda: LOG_COUNTS.suppressed,
        "btc_log_lines_dropped": lambda: LOG_COUNTS.dropped,
    }


def _by_label(counts: Mapping[str, int]) -> Reading:
    return {(str(label),): count for label, count in counts.items()}


def _of_latest(hub: Hub, value: Callable[[Tick], float]) -> Callable[[], Reading | None]:
    return lambda: None if hub.latest is None else value(hub.latest)
