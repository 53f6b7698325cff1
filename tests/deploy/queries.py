"""The queries of the dashboards, as Grafana would send them."""

from panels import Dashboard


def queries(dashboard: Dashboard, rate_interval: str = "1m") -> list[str]:
    texts = [query for panel in dashboard.panels for query, _ in panel.queries]
    values = {"$__rate_interval": rate_interval, "$job": "btc-price-tracker", "$instance": ".+"}
    for name, value in values.items():
        texts = [text.replace(name, value) for text in texts]
    return texts
