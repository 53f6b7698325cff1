"""The Grafana dashboards of `deploy/observability/`: made from the code, complete, and valid."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from btc_price_tracker.telemetry.metrics import METRICS
from dashboards import DASHBOARDS, FOLDER
from deploy.proxies import DEPLOY, need
from deploy.queries import queries
from panels import Dashboard, grafana

# What only alerts and ad hoc queries need, or what another metric on a dashboard says as well.
NOT_SHOWN = {
    "btc_tls_certificate_expiry_timestamp_seconds",  # only with TLS in process
    "btc_source_latency_seconds",  # the last one only: the histogram is shown
    "btc_source_requests_total",
    "btc_source_request_failures_total",
    "btc_source_quota_spacing_seconds",
    "btc_source_quotes_total",
    "btc_source_circuit",
    "btc_source_excluded",
    "btc_prices_published_total",
}


def test_the_committed_dashboards_are_those_of_the_code() -> None:
    command = [sys.executable, str(DEPLOY / "observability/dashboards.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert {path.stem for path in FOLDER.iterdir()} == {dashboard.name for dashboard in DASHBOARDS}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_panels_lie_side_by_side(dashboard: Dashboard) -> None:
    cells = [
        (x, y)
        for panel in grafana(dashboard)["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_metric_is_shown_or_needs_not_be() -> None:
    text = "\n".join(query for dashboard in DASHBOARDS for query in queries(dashboard))
    text += (DEPLOY / "observability/recording.yml").read_text()
    shown = {name.removesuffix("_bucket").removesuffix("_count") for name in re.findall(r"\bbtc_\w+", text)}
    hidden = {metric.series for metric in METRICS} - shown
    assert hidden == NOT_SHOWN


def test_queries_are_valid(tmp_path_factory: pytest.TempPathFactory) -> None:
    rules = [
        {"record": f"query:number{number}", "expr": query}
        for number, query in enumerate(query for dashboard in DASHBOARDS for query in queries(dashboard))
    ]
    path = tmp_path_factory.mktemp("rules") / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [need("promtool"), "check", "rules", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboards_are_json() -> None:
    for path in FOLDER.iterdir():
        assert json.loads(path.read_text())["uid"].startswith("btc-")
