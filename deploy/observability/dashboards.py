"""Write the Grafana dashboards in `grafana/`, or with `--check` report those that are out of date."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

from panels import Dashboard, Panel, grafana

FOLDER = Path(__file__).parent / "grafana"
ALL = '{job="$job"}'  # of the service, whatever instances are chosen
CHOSEN = 'job="$job",instance=~"$instance"'
INSTANCE = "{{instance}}"
SOURCE = "{{source}}"


def _rate(name: str, by: str, more: str = "") -> str:
    return f"sum by ({by}) (rate({name}{{{CHOSEN}{more}}}[$__rate_interval]))"


def _quantile(share: float, name: str, by: str = "", more: str = "") -> str:
    return f"histogram_quantile({share}, {_rate(f'{name}_bucket', f'le, {by}' if by else 'le', more)})"


def _each(name: str, more: str = "") -> list[tuple[str, str]]:
    return [(f"{name}{{{CHOSEN}{more}}}", INSTANCE)]


def _number(title: str, query: str, unit: str = "short") -> Panel:
    return Panel(title, [(query, "")], unit, kind="stat", width=4)


OVERVIEW = Dashboard(
    "overview",
    "overview",
    [
        _number("Price", f"max(btc_price_usd{ALL})", "currencyUSD"),
        _number("Age of the price", f"max(btc_price_age_seconds{ALL})", "s"),
        _number("Sources used", f"max(btc_price_sources{ALL})"),
        _number("Open streams", f"job:btc_streams_open:sum{ALL}"),
        _number("Instances up", f"sum(up{ALL})"),
        _number("Leaders", f"sum(btc_leader{ALL})"),
        Panel(
            "Alerts", [('ALERTS{alertstate="firing",job=~"$job|"}', "{{alertname}} {{instance}}")], width=12
        ),
        Panel(
            "Status",
            [(f"sum by (status) (btc_price_status{ALL})", "{{status}}")],
            width=12,
            help="Instances.",
        ),
        Panel("Price", [(f"max(btc_price_usd{ALL})", "price")], "currencyUSD"),
        Panel("Open streams", _each("btc_streams_open")),
        Panel(
            "Delivery to the last client (p99)",
            [(f"job:btc_stream_delivery_seconds:p99_rate5m{ALL}", "p99")],
            "s",
        ),
        Panel("Requests", [(_rate("btc_http_requests_total", "status"), "{{status}}")], "reqps"),
        Panel("Share of 5xx", [(f"job:btc_http_requests_5xx:ratio_rate5m{ALL}", "5xx")], "percentunit"),
        Panel(
            "Store and broker", [(f"min(btc_store_up{ALL})", "store"), (f"min(btc_broker_up{ALL})", "broker")]
        ),
    ],
)

SOURCES = Dashboard(
    "sources",
    "price and sources",
    [
        Panel(
            "Price and its interval",
            [
                (f"max(btc_price_usd{ALL})", "price"),
                (f"max(btc_price_usd{ALL}) + max(btc_price_spread_usd{ALL})", "upper"),
                (f"max(btc_price_usd{ALL}) - max(btc_price_spread_usd{ALL})", "lower"),
            ],
            "currencyUSD",
            width=12,
        ),
        Panel(
            "Deviation from the price",
            [(f"max by (source) (btc_source_deviation_ratio{ALL})", SOURCE)],
            "percentunit",
            width=12,
        ),
        Panel(
            "State",
            [(f"max by (source, state) (btc_source_state{ALL}) == 1", "{{source}} {{state}}")],
            kind="table",
            width=12,
        ),
        Panel("Used", [(f"max by (source) (btc_source_used{ALL})", SOURCE)], kind="state-timeline", width=12),
        Panel("Age of quotes", [(f"max by (source) (btc_source_quote_age_seconds{ALL})", SOURCE)], "s"),
        Panel("Requests (p95)", [(f"job_source:btc_source_request_seconds:p95_rate5m{ALL}", SOURCE)], "s"),
        Panel(
            "Failures", [(f"job_source:btc_source_responses_not_ok:ratio_rate5m{ALL}", SOURCE)], "percentunit"
        ),
        Panel("Outcomes", [(_rate("btc_source_responses_total", "outcome"), "{{outcome}}")], "reqps"),
        Panel("Retries", [(_rate("btc_source_retries_total", "source"), SOURCE)], "reqps"),
        Panel(
            "Changes of circuits",
            [(_rate("btc_source_circuit_changes_total", "source, circuit"), "{{source}} {{circuit}}")],
        ),
        Panel("Wait for the quota", [(f"max by (source) (btc_source_quota_wait_seconds{ALL})", SOURCE)], "s"),
        Panel("Quotes of a round", [(f"max by (state) (btc_round_quotes{ALL})", "{{state}}")]),
        Panel("Rounds", [(_rate("btc_rounds_total", "status"), "{{status}}")]),
        Panel("Duration of rounds (p95)", [(_quantile(0.95, "btc_round_seconds"), "p95")], "s"),
        Panel(
            "Quote to publication (p95)",
            [(_quantile(0.95, "btc_quote_to_publication_seconds", "source"), SOURCE)],
            "s",
        ),
    ],
)

STREAMS = Dashboard(
    "streams",
    "streams",
    [
        Panel("Open streams", _each("btc_streams_open")),
        Panel(
            "Share of MAX_CLIENTS",
            [(f"btc_streams_open{{{CHOSEN}}} / btc_streams_max > 0", INSTANCE)],
            "percentunit",
        ),
        Panel("Opened", [(_rate("btc_streams_opened_total", "instance"), INSTANCE)], "cps"),
        Panel("Closed", [(_rate("btc_streams_closed_total", "reason"), "{{reason}}")], "cps"),
        Panel(
            "Share resumed",
            [
                (
                    f"{_rate('btc_streams_resumed_total', 'job')} / {_rate('btc_streams_opened_total', 'job')}",
                    "resumed",
                )
            ],
            "percentunit",
        ),
        Panel("Rejected", [(_rate("btc_streams_rejected_total", "reason"), "{{reason}}")], "cps"),
        Panel(
            "Connections refused", [(_rate("btc_connections_refused_total", "reason"), "{{reason}}")], "cps"
        ),
        Panel(
            "Requests rejected", [(_rate("btc_http_requests_rejected_total", "instance"), INSTANCE)], "reqps"
        ),
        Panel(
            "Delivery to the last client",
            [
                (_quantile(share, "btc_stream_delivery_seconds"), f"p{share * 100:g}")
                for share in (0.5, 0.95, 0.99)
            ],
            "s",
        ),
        Panel("Broadcast (p99)", [(_quantile(0.99, "btc_broadcast_seconds", "instance"), INSTANCE)], "s"),
        Panel("Lagging", _each("btc_streams_lagging")),
        Panel("Lag of the last stream", _each("btc_stream_lag_seconds"), "s"),
        Panel("Fallen behind", [(_rate("btc_streams_fallen_behind_total", "instance"), INSTANCE)]),
        Panel("Gaps announced", [(_rate("btc_stream_gaps_total", "instance"), INSTANCE)]),
        Panel("Events sent", [(_rate("btc_stream_events_sent_total", "instance"), INSTANCE)]),
        Panel("Bytes sent", [(_rate("btc_stream_sent_bytes_total", "instance"), INSTANCE)], "Bps"),
        Panel(
            "Duration of streams, depth of resumes (median)",
            [
                (_quantile(0.5, "btc_stream_duration_seconds"), "duration"),
                (_quantile(0.5, "btc_stream_resume_depth_seconds"), "depth"),
            ],
            "s",
        ),
    ],
)

PARTS = Dashboard(
    "store-broker",
    "store and broker",
    [
        Panel("Store works", _each("btc_store_up"), kind="state-timeline"),
        Panel("Queued prices", _each("btc_store_queued")),
        Panel("Age of the queue", _each("btc_store_queue_age_seconds"), "s"),
        Panel(
            "Store operations (p95)",
            [(_quantile(0.95, "btc_store_operation_seconds", "operation"), "{{operation}}")],
            "s",
        ),
        Panel(
            "Store failures",
            [(_rate("btc_store_operation_seconds_count", "operation", ',outcome="error"'), "{{operation}}")],
        ),
        Panel(
            "Outages begun, prices dropped",
            [
                (_rate("btc_store_outages_total", "instance"), f"{INSTANCE} outages"),
                (_rate("btc_store_dropped_total", "instance"), f"{INSTANCE} dropped"),
            ],
        ),
        Panel("Broker works", _each("btc_broker_up"), kind="state-timeline"),
        Panel("Leader", _each("btc_leader"), kind="state-timeline"),
        Panel("Term", _each("btc_term")),
        Panel(
            "Broker operations (p95)",
            [(_quantile(0.95, "btc_broker_operation_seconds", "operation"), "{{operation}}")],
            "s",
        ),
        Panel(
            "Delivery through the broker (p95)",
            [(_quantile(0.95, "btc_broker_delivery_seconds", "instance"), INSTANCE)],
            "s",
        ),
        Panel("Time since the last update", _each("btc_broker_update_age_seconds"), "s"),
        Panel("Broker outages begun", [(_rate("btc_broker_outages_total", "instance"), INSTANCE)]),
        Panel("Terms begun", [(_rate("btc_terms_begun_total", "instance"), INSTANCE)]),
        Panel("Terms ended", [(_rate("btc_terms_ended_total", "reason"), "{{reason}}")]),
        Panel("History requests that wait", _each("btc_history_queued")),
        Panel(
            "History requests rejected",
            [(_rate("btc_history_rejected_total", "instance"), INSTANCE)],
            "reqps",
        ),
    ],
)

INSTANCES = Dashboard(
    "instance",
    "instance",
    [
        Panel("Version", [(f"btc_build_info{{{CHOSEN}}}", f"{INSTANCE} {{{{version}}}}")], kind="table"),
        Panel("Uptime", [(f"time() - process_start_time_seconds{{{CHOSEN}}}", INSTANCE)], "s"),
        Panel("CPU", [(_rate("process_cpu_seconds_total", "instance"), INSTANCE)], "percentunit"),
        Panel("Memory", _each("process_resident_memory_bytes"), "bytes"),
        Panel(
            "Share of open files",
            [(f"process_open_fds{{{CHOSEN}}} / process_max_fds", INSTANCE)],
            "percentunit",
        ),
        Panel("Event loop lag", _each("btc_event_loop_lag_seconds"), "s"),
        Panel("Event loop stalls", [(_rate("btc_event_loop_stalls_total", "instance"), INSTANCE)]),
        Panel(
            "Garbage collection (p99)",
            [(_quantile(0.99, "btc_gc_pause_seconds", "generation"), "{{generation}}")],
            "s",
        ),
        Panel("Clock behind", _each("btc_clock_behind_seconds"), "s"),
        Panel("Requests by route", [(_rate("btc_http_requests_total", "route"), "{{route}}")], "reqps"),
        Panel(
            "Duration by route (p95)",
            [(_quantile(0.95, "btc_http_request_seconds", "route"), "{{route}}")],
            "s",
        ),
        Panel("Requests in progress", _each("btc_http_requests_in_progress")),
        Panel("Log lines", [(_rate("btc_log_lines_total", "level"), "{{level}}")]),
        Panel(
            "Log lines lost",
            [
                (_rate("btc_log_lines_suppressed_total", "instance"), f"{INSTANCE} suppressed"),
                (_rate("btc_log_lines_dropped_total", "instance"), f"{INSTANCE} dropped"),
            ],
        ),
    ],
)

DASHBOARDS = (OVERVIEW, SOURCES, STREAMS, PARTS, INSTANCES)


def main() -> int:
    """Write the dashboards, or check them; returns the exit code."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="report outdated files instead of writing them")
    checks: bool = parser.parse_args().check
    texts = {FOLDER / f"{each.name}.json": json.dumps(grafana(each), indent=1) + "\n" for each in DASHBOARDS}
    outdated = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    for path in outdated:
        if checks:
            print(f"{path.name} is out of date: run `make docs`")
        else:
            path.write_text(texts[path])
            print(f"wrote {path}")
    return 1 if checks and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
