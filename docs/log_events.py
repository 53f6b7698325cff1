"""Find the log events in the source: each call of a logger with an event and fields."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LOGGERS = ("log", "_log")
LEVELS = {
    name: name for name in ("debug", "info", "warning", "error", "critical")
} | {"exception": "error"}  # fmt: skip


class LogEvent(NamedTuple):
    """One log call. `fields` has the names of its keyword arguments."""

    event: str
    level: str
    fields: tuple[str, ...]
    file: str


def log_events(root: Path) -> list[LogEvent]:
    """Every log event of the package in `root`, sorted."""
    events = set[LogEvent]()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (level := _level(node.func)) and node.args:
                fields = tuple(_fields(node))
                file = path.relative_to(root).as_posix()
                events |= {LogEvent(event, level, fields, file) for event in _texts(node.args[0])}
    return sorted(events, key=lambda each: (each.event.lower(), each))


def _level(function: ast.expr) -> str | None:
    """The level of a call like `log.warning(…)`; None for any other call."""
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return None
    return LEVELS.get(function.attr) if function.value.id in LOGGERS else None


def _fields(call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        yield {None: "…", "exc_info": "traceback"}.get(keyword.arg, keyword.arg or "…")
    if isinstance(call.func, ast.Attribute) and call.func.attr == "exception":
        yield "traceback"


def _texts(event: ast.expr) -> list[str]:
    """The texts that an event may have; `…` for a part that is computed."""
    if isinstance(event, ast.Constant):
        return [str(event.value)]
    if isinstance(event, ast.IfExp):
        return [*_texts(event.body), *_texts(event.orelse)]
    if isinstance(event, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in event.values)]
    return ["…"]
