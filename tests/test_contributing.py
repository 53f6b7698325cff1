"""The recipes of CONTRIBUTING.md work: each is applied to a copy of the source, and the result is tried."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
BLOCK = re.compile(r"^ *```(python|diff)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)

SERVED = """
import asyncio
from btc_price_tracker import app
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.price.model import Status, Update
from btc_price_tracker.settings import load

async def main():
    async with app.compose(load({"store_url": "memory://"}), SystemClock(), detach=False) as service:
"""
TRIED = {
    "Add a source": """
from btc_price_tracker.errors import SourceRefused
from btc_price_tracker.settings import load
from btc_price_tracker.sources import SOURCES

source = SOURCES["example"]
assert str(source.parse(b'{"last": "69420.10", "bid": "69420.00", "ask": "69420.20"}').bid) == "69420.00"
try:
    source.parse(b'{"error": "closed"}')
except SourceRefused as error:
    assert "closed" in str(error)
settings = load({"sources": "example", "example_url": "http://localhost:1"})
assert settings.url_of("example") == "http://localhost:1"
""",
    "Add a store": """
import asyncio
from btc_price_tracker.store import open_store

async def main():
    store = await open_store("example://", capacity=10)
    assert await store.newest(1) == []
    await store.close()

asyncio.run(main())
""",
    "Add a broker": """
import asyncio
from btc_price_tracker.broker.opening import open_broker
from btc_price_tracker.broker.options import History, Options
from btc_price_tracker.price.model import Status, Update

async def main():
    broker = open_broker("example://host", Options("a", History(10, 60)))
    term = await broker.campaign()
    await term.publish(Update(Status.STALE, "no price"))
    assert (await anext(broker.follow(0))).reason == "no price"
    assert type(broker).__name__ == "ExampleBroker"

asyncio.run(main())
""",
    "Add a metric": SERVED.replace("import asyncio", "import asyncio, httpx2")
    + """
        transport = httpx2.ASGITransport(service.application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            response = await client.get("/metrics")
            assert response.status_code == 200
            assert "btc_streams_open" in response.text

asyncio.run(main())
from btc_price_tracker.telemetry.metrics import METRICS
assert "btc_price_id" in [metric.name for metric in METRICS]
""",
}


def recipe(title: str) -> str:
    return GUIDE.partition(f"### {title}\n")[2].partition("\n### ")[0]


def apply(root: Path, kind: str, block: str) -> None:
    """Write the new file of a python block, or make the change of a diff block."""
    head, _, text = dedent(block).partition("\n")
    path = root / head.removeprefix("# ").removeprefix("--- ")
    if kind == "python":
        assert not path.exists()
        path.write_text(text)
        return
    lines = text.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    source = path.read_text()
    assert source.count(old) == 1, f"{path.name} has changed:\n{old}"
    path.write_text(source.replace(old, new))


@pytest.mark.parametrize("title", TRIED)
def test_recipes_work(title: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    blocks = BLOCK.findall(recipe(title))
    assert blocks
    for kind, block in blocks:
        apply(tmp_path, kind, block)
    style = [sys.executable, "-m", "ruff", "check", "--no-cache", "--quiet", "."]
    assert subprocess.run(style, cwd=tmp_path, capture_output=True, text=True, check=False).stdout == ""
    result = subprocess.run(
        [sys.executable, "-c", TRIED[title]],
        env={"PYTHONPATH": str(tmp_path / "src"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_every_recipe_is_tried() -> None:
    assert re.findall(r"^### (.*)", GUIDE, re.MULTILINE) == list(TRIED)


def test_named_files_exist() -> None:
    for path in re.findall(r"`((?:src|tests|docs|bench|\.ci)/[\w/.-]+)`", GUIDE):
        assert (ROOT / path).exists() or path == "tests/recordings/example", path
