"""Imports run one way: a package may import what its line allows, and what is below everything."""

import ast
from pathlib import Path

import pytest

import btc_price_tracker

ROOT = Path(btc_price_tracker.__file__).parent
BELOW = {"", "clock", "outgoing", "validation"}  # the version, time as an argument, the way out, wrong values
ALLOWED = {
    "clock": set[str](),
    "validation": set[str](),
    "masking": set[str](),
    "open_files": set[str](),
    "outgoing": set[str](),
    "price": set[str](),
    "telemetry": set[str](),
    "sources": {"price"},
    "store": {"price"},
    "broker": {"price"},
    "fanout": {"price"},
    "secret_files": set[str](),
    "settings": {"masking", "open_files", "secret_files", "sources", "store"},
    "pipeline": {"price", "sources", "store", "broker", "fanout"},
    "recall": {"price", "store", "fanout"},
    "web": {"open_files", "price", "sources", "store", "fanout", "telemetry"},
    "playback": {"price"},
    "app": {
        "price",
        "sources",
        "store",
        "broker",
        "fanout",
        "telemetry",
        "web",
        "settings",
        "pipeline",
        "recall",
    },
    "demo": {"app", "flags", "playback", "settings", "sources"},
    "report": {"app", "price", "settings", "web"},
    "plot": set[str](),
    "rows": {"plot"},
    "past": {"masking", "rows", "settings"},
    "replacement": {"store"},
    "records": {"price", "store"},
    "transfer": {"price", "records", "store"},
    "parser": set[str](),
    "flags": {"parser", "past", "price", "settings", "sources"},
    "cli": {
        "flags",
        "parser",
        "past",
        "records",
        "replacement",
        "rows",
        "transfer",
        "app",
        "demo",
        "open_files",
        "report",
        "settings",
        "store",
        "telemetry",
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
