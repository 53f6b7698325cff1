"""The rules of `deploy/observability/`: each alert fires when it should, and no other does; each has its runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from btc_price_tracker.telemetry.metrics import METRICS, Kind
from deploy.proxies import DEPLOY, need

OBSERVABILITY = DEPLOY / "observability"
ROOT = DEPLOY.parent
RULES = [
    rule
    for name in ("recording.yml", "alerts.yml")
    for group in yaml.safe_load((OBSERVABILITY / name).read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
BEGIN, END, LAST = (
    60,
    180,
    270,
)  # minutes at which the trouble begins and ends, and at which nothing is left of it
PER_MINUTE = 2  # samples
INTERVAL = f"{60 // PER_MINUTE}s"
TARGET = 'job="btc-price-tracker",instance="{}"'

Minute = float
Series = Callable[[Minute], float | None]  # None: no sample


def during(bad: float | None, good: float) -> Series:
    return lambda minute: bad if BEGIN < minute <= END else good


def growing(per_minute: float, bad: float | None = None) -> Series:
    """A counter, with another rate while the trouble lasts."""
    extra = 0 if bad is None else bad - per_minute
    return lambda minute: per_minute * minute + extra * min(max(minute - BEGIN, 0), END - BEGIN)


def histogram(name: str, labels: str, slow: float = 0) -> dict[str, Series]:
    """Ten observations a minute within 0.1 s; a share of them slower than a second while the trouble lasts."""
    return {
        f'{name}_bucket{{{labels}le="0.1"}}': growing(10, 10 - 10 * slow),
        f'{name}_bucket{{{labels}le="5"}}': growing(10),
        f'{name}_bucket{{{labels}le="+Inf"}}': growing(10),
    }


HEALTHY: dict[str, Series] = {
    "up": lambda _: 1,
    'btc_build_info{version="1"}': lambda _: 1,
    'btc_price_status{status="ok"}': lambda _: 1,
    'btc_price_status{status="degraded"}': lambda _: 0,
    'btc_price_status{status="single_source"}': lambda _: 0,
    'btc_price_status{status="stale"}': lambda _: 0,
    "btc_prices_published_total": growing(6),
    "btc_clock_behind_seconds": lambda _: 0,
    'btc_terms_ended_total{reason="clock_contradicted"}': growing(0),
    'btc_source_state{source="kraken",state="ok"}': lambda _: 1,
    'btc_source_state{source="kraken",state="error"}': lambda _: 0,
    'btc_source_state{source="kraken",state="open"}': lambda _: 0,
    'btc_source_excluded{source="kraken"}': lambda _: 0,
    "btc_store_up": lambda _: 1,
    "btc_store_queue_age_seconds": lambda _: 0,
    "btc_store_dropped_total": growing(0),
    "btc_broker_up": lambda _: 1,
    "btc_term": lambda _: 7,
    "btc_streams_open": lambda _: 500,
    "btc_streams_max": lambda _: 1000,
    "btc_streams_lagging": lambda _: 1,
    'btc_streams_rejected_total{reason="max_clients"}': growing(0),
    'btc_streams_rejected_total{reason="max_clients_per_ip"}': growing(60),
    "process_open_fds": lambda _: 600,
    "process_max_fds": lambda _: 1512,
    "btc_event_loop_lag_seconds": lambda _: 0.01,
    "btc_event_loop_stalls_total": growing(0),
    'btc_http_requests_total{route="/prices/latest",status="200"}': growing(60),
    'btc_http_requests_total{route="/prices/latest",status="503"}': growing(0.1),
    "btc_log_lines_dropped_total": growing(0),
    **histogram("btc_stream_delivery_seconds", ""),
}
LEADER = {"a": 1, "b": 0}


@dataclass(frozen=True)
class Case:
    """What is wrong on the instance "a" (or on both), which alert fires for it and after how many minutes."""

    alert: str
    series: Mapping[str, Series]
    after: float = 0.5  # minutes, beyond the `for` of the rule
    both: bool = False
    instance: bool = True  # whether the alert names the instance
    labels: Mapping[str, str] = field(default_factory=dict)


def case(alert: str, name: str, bad: float | None, good: float, **other: object) -> Case:
    return Case(alert, {name: during(bad, good)}, **other)  # type: ignore[arg-type] # the fields of a Case


KRAKEN = {"source": "kraken"}
LEAD: dict[str, object] = {"instance": False}
CASES = [
    case("PriceStale", 'btc_price_status{status="stale"}', 1, 0, **LEAD),
    Case("PriceNotPublished", {"btc_prices_published_total": growing(6, 0)}, 6, both=True, instance=False),
    case("PriceDegraded", 'btc_price_status{status="degraded"}', 1, 0, **LEAD),
    case("PriceDegraded", 'btc_price_status{status="single_source"}', 1, 0, **LEAD),
    case("ClockBehind", "btc_clock_behind_seconds", 30, 0),
    Case("ClockBehind", {'btc_terms_ended_total{reason="clock_contradicted"}': growing(0, 1)}, 2),
    case("SourceFailing", 'btc_source_state{source="kraken",state="error"}', 1, 0, **LEAD, labels=KRAKEN),
    case("SourceFailing", 'btc_source_state{source="kraken",state="open"}', 1, 0, **LEAD, labels=KRAKEN),
    case("SourceExcluded", 'btc_source_excluded{source="kraken"}', 1, 0, **LEAD, labels=KRAKEN),
    case("StoreDown", "btc_store_up", 0, 1),
    case("StoreQueueGrowing", "btc_store_queue_age_seconds", 900, 0),
    Case("StoreDropping", {"btc_store_dropped_total": growing(0, 6)}, 1),
    Case("BrokerDown", {"btc_broker_up": during(0, 1), "btc_leader": during(0, 1)}, instance=False),
    case("NotOneLeader", "btc_leader", 0, 1, **LEAD),
    case("NotOneLeader", "btc_leader", 2, 1, **LEAD),
    Case(
        "LeaderChanges",
        {"btc_term": lambda minute: 7 + min(max(minute - BEGIN, 0), 120) // 2},
        14,
        instance=False,
    ),
    case("InstanceNearlyFull", "btc_streams_open", 950, 500),
    case("InstanceNearlyFull", "process_open_fds", 1500, 600),
    Case(
        "StreamsRejected",
        {'btc_streams_rejected_total{reason="max_clients"}': growing(0, 60)},
        1,
        instance=False,
    ),
    Case("DeliverySlow", histogram("btc_stream_delivery_seconds", "", slow=0.5), 2, instance=False),
    case("StreamsLagging", "btc_streams_lagging", 100, 1),
    case("InstanceDown", "up", 0, 1),
    case("MetricsMissing", 'btc_build_info{version="1"}', None, 1),
    Case("MetricsMissing", {"up": during(None, 1)}, 6, both=True, instance=False),
    case("EventLoopBlocked", "btc_event_loop_lag_seconds", 4, 0.01),
    Case("EventLoopBlocked", {"btc_event_loop_stalls_total": growing(0, 1)}, 2),
    Case(
        "HttpErrors",
        {'btc_http_requests_total{route="/prices/latest",status="503"}': growing(0.1, 30)},
        2,
        instance=False,
    ),
    Case("LogLinesDropped", {"btc_log_lines_dropped_total": growing(0, 6)}, 1),
]


def minutes(text: str) -> float:
    return float(text.removesuffix("m"))


def notation(name: str, instance: str, series: Series) -> dict[str, str]:
    bare, _, labels = name.partition("{")
    samples = (series(number / PER_MINUTE) for number in range(LAST * PER_MINUTE + 1))
    text = " ".join("stale" if sample is None else f"{sample:g}" for sample in samples)
    separator = "," if labels else "}"
    return {"series": f"{bare}{{{TARGET.format(instance)}{separator}{labels}", "values": text}


def written(case: Case) -> list[dict[str, str]]:
    """Every series of two instances, in promtool's notation."""
    found = []
    for instance, leads in LEADER.items():
        healthy: dict[str, Series] = {**HEALTHY, "btc_leader": during(leads, leads)}
        changed = case.series if case.both or instance == "a" else {}
        found += [notation(name, instance, each) for name, each in {**healthy, **changed}.items()]
    return found


def expectation(case: Case) -> dict[str, object]:
    labels = {"job": "btc-price-tracker", **case.labels} | ({"instance": "a"} if case.instance else {})
    labels |= ALERTS[case.alert]["labels"]
    text = ",".join(f"{name}={json.dumps(value)}" for name, value in sorted(labels.items()))
    return {"labels": f'ALERTS{{alertname="{case.alert}",alertstate="firing",{text}}}', "value": 1}


def test_file(case: Case, folder: Path) -> Path:
    """Nothing fires before the trouble, or before the alert's `for` has passed, or afterwards; then the alert alone."""
    for name in ("recording.yml", "alerts.yml"):
        shutil.copy(OBSERVABILITY / name, folder)
    waits = minutes(ALERTS[case.alert].get("for", "0m"))
    times = {
        BEGIN: False,
        BEGIN + waits - 1 / PER_MINUTE: False,
        BEGIN + waits + case.after: True,
        END: True,
        LAST: False,
    }
    checks = [
        {
            "expr": 'ALERTS{alertstate="firing"}',
            "eval_time": f"{int(time * 60)}s",
            "exp_samples": [expectation(case)] if fires else [],
        }
        for time, fires in times.items()
    ]
    path = folder / "test.yml"
    test = {"interval": INTERVAL, "input_series": written(case), "promql_expr_test": checks}
    files = ["recording.yml", "alerts.yml"]
    path.write_text(yaml.safe_dump({"rule_files": files, "evaluation_interval": INTERVAL, "tests": [test]}))
    return path


test_file.__test__ = False  # type: ignore[attr-defined] # its name is promtool's


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{next(iter(case.series))}")
def test_the_alert_fires_alone_and_only_during_its_trouble(case: Case, tmp_path: Path) -> None:
    command = [need("promtool"), "test", "rules", str(test_file(case, tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == set(ALERTS)


def test_the_configuration_and_its_rules_are_valid() -> None:
    command = [need("promtool"), "check", "config", str(OBSERVABILITY / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_the_alert_is_complete_and_has_a_runbook(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    titles = re.findall(r"^#+ (.*)", (ROOT / f"docs/runbooks/{name}.md").read_text(), re.MULTILINE)
    assert titles == [name, "What users see", "Confirm", "Do"]


def test_every_runbook_is_that_of_an_alert() -> None:
    assert {page.stem for page in (ROOT / "docs/runbooks").iterdir()} == set(ALERTS)


def known_series() -> set[str]:
    suffixes = {Kind.HISTOGRAM: ("", "_bucket", "_sum", "_count")}
    return {f"{metric.series}{suffix}" for metric in METRICS for suffix in suffixes.get(metric.kind, ("",))}


@pytest.mark.parametrize(
    "path",
    [
        *OBSERVABILITY.glob("*.yml"),
        *OBSERVABILITY.glob("grafana/*.json"),
        *(ROOT / "docs/runbooks").iterdir(),
    ],
    ids=lambda path: path.name,
)
def test_named_metrics_exist(path: Path) -> None:
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    text = path.read_text()
    assert set(re.findall(r"\bjob(?:_\w+)?:\w+:\w+", text)) <= recorded
    text = re.sub(r"\bjob(?:_\w+)?:\w+:\w+", "", text)
    assert set(re.findall(r"\bbtc_\w+", text)) - {"btc_price_tracker"} <= known_series()


def test_every_recording_rule_is_used() -> None:
    used = "".join(
        path.read_text() for path in [*OBSERVABILITY.glob("grafana/*.json"), OBSERVABILITY / "alerts.yml"]
    )
    assert not [rule["record"] for rule in RULES if "record" in rule and rule["record"] not in used]


def test_the_collector_passes_on_what_it_receives() -> None:
    collector = yaml.safe_load((OBSERVABILITY / "otel-collector.yaml").read_text())
    for pipeline in collector["service"]["pipelines"].values():
        for kind, names in pipeline.items():
            assert set(names) <= set(collector[kind])
