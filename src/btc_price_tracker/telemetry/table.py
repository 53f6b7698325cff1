"""The table that names and describes each metric of an instance, and its documentation."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The type of a metric, as Prometheus names it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table. `name` is without the suffix that a format appends, such as `_total`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> str:
        """The name to query it by."""
        return self.name + {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(self.kind, "")


METRICS = (
    Metric("btc_build", Kind.INFO, "Version, and whether the prices are recorded.", ("version", "recorded")),
    # The price
    Metric("btc_price_usd", Kind.GAUGE, "Last published price."),
    Metric("btc_price_spread_usd", Kind.GAUGE, "Half-width of the interval of the last price."),
    Metric("btc_price_sources", Kind.GAUGE, "Number of sources used for the last price."),
    Metric("btc_price_age_seconds", Kind.GAUGE, "Age of the newest quote used for the last price."),
    Metric("btc_price_status", Kind.GAUGE, "1 for the current status.", ("status",)),
    Metric("btc_prices_published", Kind.COUNTER, "Prices published."),
    Metric(
        "btc_clock_behind_seconds",
        Kind.GAUGE,
        "Time by which the clock is behind the last price; 0 if it is not.",
    ),
    # The rounds: counted on the instance that polls
    Metric("btc_rounds", Kind.COUNTER, "Rounds, by the status that they concluded.", ("status",)),
    Metric("btc_round_seconds", Kind.HISTOGRAM, "Duration of a round: polling the sources and deciding."),
    Metric("btc_round_quotes", Kind.GAUGE, "Quotes in the last round, by what became of them.", ("state",)),
    Metric(
        "btc_quote_to_publication_seconds",
        Kind.HISTOGRAM,
        "Time from a used quote's own time to its publication; sources without a time are left out.",
        ("source",),
    ),
    # The streams
    Metric("btc_streams_open", Kind.GAUGE, "Open streams."),
    Metric("btc_streams_max", Kind.GAUGE, "Most streams that may be open (MAX_CLIENTS); 0: no limit."),
    Metric("btc_streams_lagging", Kind.GAUGE, "Open streams whose socket buffer is full."),
    Metric("btc_streams_opened", Kind.COUNTER, "Streams opened."),
    Metric(
        "btc_streams_resumed", Kind.COUNTER, "Streams opened with the id of an earlier event: reconnects."
    ),
    Metric(
        "btc_stream_resume_depth_seconds", Kind.HISTOGRAM, "Age of the id with which a stream was resumed."
    ),
    Metric("btc_stream_duration_seconds", Kind.HISTOGRAM, "Time that a closed stream was open."),
    Metric("btc_streams_closed", Kind.COUNTER, "Streams closed, by reason.", ("reason",)),
    Metric(
        "btc_streams_rejected",
        Kind.COUNTER,
        "Streams rejected, by the limit that was reached, or because the instance drains.",
        ("reason",),
    ),
    Metric(
        "btc_streams_fallen_behind", Kind.COUNTER, "Times that the socket buffer of a live stream was full."
    ),
    Metric(
        "btc_stream_lag_seconds",
        Kind.GAUGE,
        "Time between the newest price and the position of the stream that lags most; 0 if none does.",
    ),
    Metric("btc_stream_events_sent", Kind.COUNTER, "Events sent, summed over all streams."),
    Metric("btc_stream_sent_bytes", Kind.COUNTER, "Bytes sent, summed over all streams."),
    Metric("btc_stream_gaps", Kind.COUNTER, "Gaps announced, summed over all streams."),
    Metric("btc_broadcast_seconds", Kind.HISTOGRAM, "Duration of writing an update to every live stream."),
    Metric(
        "btc_stream_delivery_seconds",
        Kind.HISTOGRAM,
        "Time from the publication of a price by the leader to the write to the last socket of this instance.",
    ),
    # The sources, as the leader reported them
    Metric("btc_source_state", Kind.GAUGE, "1 for the current state of a source.", ("source", "state")),
    Metric("btc_source_used", Kind.GAUGE, "1 if the source was used for the last price.", ("source",)),
    Metric("btc_source_excluded", Kind.GAUGE, "1 if the price rule excludes the source.", ("source",)),
    Metric(
        "btc_source_quote_age_seconds",
        Kind.GAUGE,
        "Age of the last quote, by the source's own time where it has one.",
        ("source",),
    ),
    Metric(
        "btc_source_deviation_ratio",
        Kind.GAUGE,
        "Deviation of the quote from the published price; 0.001 is 0.1 %.",
        ("source",),
    ),
    Metric("btc_source_latency_seconds", Kind.GAUGE, "Duration of the last successful request.", ("source",)),
    Metric("btc_source_requests", Kind.COUNTER, "Requests sent to a source.", ("source",)),
    Metric("btc_source_request_failures", Kind.COUNTER, "Requests that returned no quote.", ("source",)),
    Metric(
        "btc_source_quota_wait_seconds",
        Kind.GAUGE,
        "Time until the quota, a pause or the circuit breaker allows the next request.",
        ("source",),
    ),
    Metric(
        "btc_source_quota_spacing_seconds",
        Kind.GAUGE,
        "Time that the quota puts between two requests.",
        ("source",),
    ),
    # The sources: counted on the instance that polls
    Metric(
        "btc_source_request_seconds",
        Kind.HISTOGRAM,
        "Duration of a request to a source, whatever its outcome.",
        ("source",),
    ),
    Metric(
        "btc_source_responses",
        Kind.COUNTER,
        "Requests to a source that have ended, by outcome.",
        ("source", "outcome"),
    ),
    Metric("btc_source_retries", Kind.COUNTER, "Requests repeated after a transient failure.", ("source",)),
    Metric(
        "btc_source_circuit",
        Kind.GAUGE,
        "1 for the current state of the circuit breaker.",
        ("source", "circuit"),
    ),
    Metric(
        "btc_source_circuit_changes",
        Kind.COUNTER,
        "Times that the circuit breaker entered a state.",
        ("source", "circuit"),
    ),
    Metric(
        "btc_source_quotes",
        Kind.COUNTER,
        "Rounds, by what became of the source's quote.",
        ("source", "state"),
    ),
    # The store and the broker
    Metric("btc_store_up", Kind.GAUGE, "1 while the store accepts prices."),
    Metric("btc_store_outages", Kind.COUNTER, "Times that the store began to fail."),
    Metric("btc_store_queued", Kind.GAUGE, "Prices queued until the store recovers."),
    Metric("btc_store_queue_age_seconds", Kind.GAUGE, "Age of the oldest queued price; 0 if none is."),
    Metric("btc_store_dropped", Kind.COUNTER, "Prices dropped because the queue was full."),
    Metric(
        "btc_store_operation_seconds",
        Kind.HISTOGRAM,
        "Duration of an operation of the store.",
        ("operation", "outcome"),
    ),
    Metric(
        "btc_broker_operation_seconds",
        Kind.HISTOGRAM,
        "Duration of an operation of the broker.",
        ("operation", "outcome"),
    ),
    Metric("btc_broker_up", Kind.GAUGE, "1 while the broker carries updates; always 1 without BROKER_URL."),
    Metric("btc_broker_outages", Kind.COUNTER, "Times that the broker began to fail."),
    Metric(
        "btc_broker_delivery_seconds",
        Kind.HISTOGRAM,
        "Time from the publication of an update by the leader to its receipt here, by the clocks of both.",
    ),
    Metric(
        "btc_broker_update_age_seconds", Kind.GAUGE, "Time since the last update came through the broker."
    ),
    Metric("btc_leader", Kind.GAUGE, "1 on the instance that polls the sources for all."),
    Metric("btc_term", Kind.GAUGE, "Number of the term of the last round."),
    Metric("btc_terms_begun", Kind.COUNTER, "Terms that this instance began as the leader."),
    Metric("btc_terms_ended", Kind.COUNTER, "Terms of this instance that ended, by reason.", ("reason",)),
    Metric("btc_history_queued", Kind.GAUGE, "History requests that wait for the store."),
    Metric("btc_history_rejected", Kind.COUNTER, "History requests rejected because the queue was full."),
    # HTTP
    Metric(
        "btc_http_requests",
        Kind.COUNTER,
        "Requests, by template of the route and status.",
        ("route", "status"),
    ),
    Metric(
        "btc_http_request_seconds",
        Kind.HISTOGRAM,
        "Duration of a request to the end of its response; of a stream to its head.",
        ("route",),
    ),
    Metric("btc_http_requests_in_progress", Kind.GAUGE, "Requests in progress, without streams."),
    Metric("btc_http_requests_rejected", Kind.COUNTER, "Requests rejected at REQUEST_RATE_PER_IP."),
    Metric(
        "btc_connections_refused",
        Kind.COUNTER,
        "Connections closed at once, because their address has too many, or for an invalid PROXY protocol.",
        ("reason",),
    ),
    # The process
    Metric("btc_event_loop_lag_seconds", Kind.GAUGE, "Longest delay of the event loop in the last minute."),
    Metric("btc_event_loop_stalls", Kind.COUNTER, "Times the event loop was blocked for 9 s or longer."),
    Metric("btc_gc_pause_seconds", Kind.HISTOGRAM, "Duration of a garbage collection.", ("generation",)),
    Metric("btc_log_lines", Kind.COUNTER, "Log lines, by level; those suppressed included.", ("level",)),
    Metric("btc_log_lines_suppressed", Kind.COUNTER, "Log lines suppressed since there were too many alike."),
    Metric("btc_log_lines_dropped", Kind.COUNTER, "Log lines dropped since stderr was not read fast enough."),
)
