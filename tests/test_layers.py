"""Imports run one way: a package may import what its line allows, and what is below everything."""

import ast
from pathlib import Path

import pytest

import btc_price_tracker

ROOT = Path(btc_price_tracker.__file__).parent
# The version, time as an argument, errors, HTTP to elsewhere, counters, safe text
BELOW = {"", "clock", "errors", "http_client", "meters", "printable"}
ALLOWED = {
    "clock": set[str](),
    "errors": set[str](),
    "http_client": {"telemetry"},
    "meters": set[str](),
    "printable": set[str](),
    "price": set[str](),
    "telemetry": set[str](),
    "sources": {"price"},
    "store": {"price"},
    "broker": {"price"},
    "fanout": {"price", "telemetry"},
    "access": {"store"},
    "settings": {"broker", "sources", "store", "telemetry"},
    "pipeline": {"price", "sources", "broker", "fanout", "pipeline_log", "telemetry"},
    "pipeline_log": {"price"},
    "succession": {"price", "store", "broker", "fanout"},
    "readers": {"access", "broker", "price", "sources", "store", "fanout", "telemetry", "web"},
    "web": {"access", "price", "settings", "store", "broker", "fanout", "telemetry"},
    "playback": {"price"},
    "configured": {"access", "price", "sources", "store", "broker", "telemetry", "web", "settings"},
    "backend": {"broker", "configured", "fanout", "settings", "store", "telemetry"},
    "app": {
        "backend",
        "configured",
        "price",
        "sources",
        "store",
        "broker",
        "fanout",
        "telemetry",
        "web",
        "settings",
        "pipeline",
        "readers",
        "succession",
    },
    "cli": {
        "access",
        "app",
        "configured",
        "playback",
        "price",
        "settings",
        "sources",
        "store",
        "telemetry",
        "web",
    },
    "__main__": {"cli"},
    "testing": set[str](),
}


def _imports(path: Path) -> set[str]:
    """The top-level parts of ours that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("btc_price_tracker"):
            inside = node.module.split(".")[1:2]
            names |= set(inside) if inside else {alias.name for alias in node.names} - {"__version__"}
    return names


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_lies_below_it(path: Path) -> None:
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if part == "__init__":
        assert not _imports(path)
    else:
        assert _imports(path) <= ALLOWED[part] | BELOW | {part}


def test_nothing_is_allowed_that_nobody_needs() -> None:
    for part, allowed in ALLOWED.items():
        files = (ROOT / part).rglob("*.py") if (ROOT / part).is_dir() else [ROOT / f"{part}.py"]
        assert allowed <= set[str]().union(*map(_imports, files)), part
