"""The parts of Grafana dashboards, as its JSON wants them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

WIDTH = 24  # columns of a dashboard
HEIGHT = 8  # rows of a panel
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA = 39  # Grafana 10 and later


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart or a number; `queries` are PromQL with the legend of each."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    help: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of panels, which are laid out in rows from the left."""

    name: str
    title: str
    panels: Sequence[Panel]


def grafana(dashboard: Dashboard) -> Json:
    """Return a dashboard as Grafana imports it."""
    return {
        "uid": f"btc-{dashboard.name}",
        "title": f"BTC price: {dashboard.title}",
        "tags": ["btc-price-tracker"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [_datasource(), _variable("job"), _variable("instance", '{job="$job"}', multi=True)]
        },
        "links": [
            {"type": "dashboards", "tags": ["btc-price-tracker"], "title": "BTC price", "asDropdown": True}
        ],
        "panels": _placed(dashboard.panels),
    }


def _datasource() -> Json:
    return {"name": "datasource", "type": "datasource", "query": "prometheus"}


def _variable(label: str, selector: str = "", *, multi: bool = False) -> Json:
    return {
        "name": label,
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values(btc_build_info{selector}, {label})",
        "refresh": 2,
        "multi": multi,
        "includeAll": multi,
        "current": {"text": "All", "value": "$__all"} if multi else {},
    }


def _placed(panels: Sequence[Panel]) -> list[Json]:
    placed: list[Json] = []
    x = y = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > WIDTH:
            x, y = 0, y + HEIGHT
        placed.append(
            {"id": number, "gridPos": {"x": x, "y": y, "w": panel.width, "h": HEIGHT}, **_panel(panel)}
        )
        x += panel.width
    return placed


def _panel(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }
