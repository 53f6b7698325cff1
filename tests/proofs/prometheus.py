"""A Prometheus with the configuration of `deploy/observability/`, in which time passes faster."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from math import isnan
from pathlib import Path
from typing import Any

import httpx2
import yaml

from broker.process import ServerProcess
from deploy.proxies import DEPLOY, need
from ports import free_port

OBSERVABILITY = DEPLOY / "observability"
# A minute is 10 s: longer than the lease of 6 s and an interval of 1 s, so that one handover makes no alert.
SPEED = 6
SECONDS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(?<![\w.])(\d+)([smh])\b")


def faster(text: str) -> str:
    """A text with each of its durations, like 15s or [5m], divided by SPEED."""
    return _DURATION.sub(lambda match: f"{int(match[1]) * SECONDS[match[2]] * 1000 // SPEED}ms", text)


def configuration(ports: Sequence[int], folder: Path) -> Path:
    """The path of a configuration in a folder that scrapes the instances on these ports."""
    for name in ("recording.yml", "alerts.yml"):
        (folder / name).write_text(faster((OBSERVABILITY / name).read_text()))
    config = yaml.safe_load(faster((OBSERVABILITY / "prometheus.yml").read_text()))
    del config["alerting"]  # this test asks itself
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


class Prometheus:
    """A running one, asked over HTTP."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def firing(self) -> set[str]:
        """The alerts that fire, each by its name and the source or instance that it is about, if any."""
        alerts = (await self._get("alerts"))["alerts"]
        return {_name_of(each["labels"]) for each in alerts if each["state"] == "firing"}

    async def is_scraping(self, instances: int) -> bool:
        """Whether so many instances answer, and their rules have been evaluated."""
        found = await self._get("query", query="count(up == 1 and on (instance) btc_build_info)")
        recorded = await self._get("query", query="job:btc_streams_open:sum")
        return bool(recorded["result"]) and [each["value"][1] for each in found["result"]] == [str(instances)]

    async def has_data(self, query: str, begin: float, end: float) -> bool:
        """Whether a query gives a number for any moment between two times, in seconds since the epoch."""
        found = await self._get("query_range", query=query, start=begin, end=end, step=15 / SPEED)
        return any(not isnan(float(value)) for each in found["result"] for _, value in each["values"])

    async def _get(self, path: str, **parameters: str | float) -> Any:
        response = await self._client.get(f"{self._url}/api/v1/{path}", params=parameters)
        return response.raise_for_status().json()["data"]


def _name_of(labels: dict[str, str]) -> str:
    about = labels.get("source") or labels.get("instance")
    return f"{labels['alertname']} {about}" if about else labels["alertname"]


@asynccontextmanager
async def prometheus(ports: Sequence[int], folder: Path) -> AsyncIterator[Prometheus]:
    """Scrape these ports of this machine; skips the test where Prometheus isn't installed."""
    port = free_port()
    options = {
        "config.file": configuration(ports, folder),
        "storage.tsdb.path": folder / "tsdb",
        "web.listen-address": f"127.0.0.1:{port}",
        "query.lookback-delta": faster("5m"),
        "log.level": "warn",
    }
    command = [need("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
    server = ServerProcess(command, folder / "prometheus.log")
    server.start()
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
            found, is_ready = Prometheus(f"http://127.0.0.1:{port}", client), False
            while not is_ready:  # the test's time limit ends a wait for nothing
                assert not server.ended, server.words
                with suppress(httpx2.HTTPError):
                    is_ready = await found.is_scraping(len(ports))
            yield found
    finally:
        server.stop()
