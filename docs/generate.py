"""Write the pages in docs/reference from the code, or with `--check` report the pages that are out of date."""

import ast
import asyncio
import inspect
import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import annotated_types
import httpx2
from log_events import log_events
from pydantic.fields import FieldInfo

import btc_price_tracker
from btc_price_tracker import app, errors
from btc_price_tracker.cli.flags import LOG, SERVER, SOURCES, STORE, add_flags, group_of
from btc_price_tracker.cli.main import COMMANDS, PROGRAM
from btc_price_tracker.cli.parser import Parser
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.settings import FROM_FILES, SECRETS, Settings, load
from btc_price_tracker.settings.values import setting_text
from btc_price_tracker.telemetry.metrics import METRICS

FOLDER = Path(__file__).parent / "reference"
PACKAGE = Path(btc_price_tracker.__file__).parent
NOTE = "<!-- Generated from the code by `make docs`; do not edit. -->"


def settings_page() -> Iterator[str]:
    """Every setting with its default, its bounds and its meaning."""
    yield "# Settings"
    yield (
        "Each setting is an environment variable and, unless it is a secret, a flag: `STORE_URL` is `--store-url`. "
        "Flags win. An empty variable counts as unset. All errors are reported at once, with exit code 2."
    )
    secrets, files = (", ".join(f"`{name.upper()}`" for name in names) for names in (SECRETS, FROM_FILES))
    yield (
        f"Secrets are never flags, because every user of the machine can see those: {secrets}. These may be read "
        f"from a file, named by the variable with `_FILE` appended, or from the systemd credential "
        f"with the name of the setting in lower case: {files}."
    )
    for group in (SERVER, SOURCES, STORE, LOG):
        yield f"## {group[:1].upper()}{group[1:]}"
        fields = {name: field for name, field in Settings.model_fields.items() if group_of(name) == group}
        rows = (
            (f"`{name.upper()}`", _default(name, field), _meaning(field)) for name, field in fields.items()
        )
        yield _table(("name", "default", "meaning"), rows)


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None or field.default is None:
        return "–"  # depends on the machine, as its description says, or there is none
    return f"`{setting_text(name, field.default)}`"


def _meaning(field: FieldInfo) -> str:
    bounds = {type(each): each for each in field.metadata}
    at_least, at_most = bounds.get(annotated_types.Ge), bounds.get(annotated_types.Le)
    if at_least is not None and at_most is not None:
        return f"{field.description} ({at_least.ge:,} to {at_most.le:,})"
    return f"{field.description}"


def commands_page() -> Iterator[str]:
    """Every command with its own flags, and the groups of settings that it uses."""
    yield "# Commands"
    yield (
        f"`{PROGRAM} COMMAND [flags]`, also `python -m btc_price_tracker`. `COMMAND --help` lists every flag. The exit "
        "code is 0 for success, 1 for a failure, 2 for invalid arguments or settings, and 128 + N after signal N."
    )
    for name, command in COMMANDS.items():
        parser = Parser(prog=f"{PROGRAM} {name}")
        add_flags(parser, name)
        yield f"## `{name}`"
        yield command.summary
        actions = [action for action in parser._actions if type(action).__name__ != "_HelpAction"]  # noqa: SLF001
        settings = {} if name == "history" else Settings.model_fields  # its --interval is none
        own = [action for action in actions if action.dest not in settings]
        rows = ((f"`{', '.join(action.option_strings) or action.dest}`", action.help or "") for action in own)
        if own:
            yield _table(("argument", "meaning"), rows)
        used = {group_of(action.dest) for action in actions if action.dest in settings}
        groups = [
            f"[{group}](settings.md#{group})" for group in (SERVER, SOURCES, STORE, LOG) if group in used
        ]
        if groups:
            yield f"Settings: {', '.join(groups)}."


def metrics_page() -> Iterator[str]:
    """Every metric with its type, labels and meaning."""
    yield "# Metrics"
    yield (
        "`GET /metrics` returns them in the text format of Prometheus or as OpenMetrics, with the usual "
        "`process_…` and `python_…`. With `METRICS_TOKEN` set it requires `Authorization: Bearer` and that token, "
        "with `TOKENS_FILE` one with the scope `metrics`."
    )
    rows = (
        (
            f"`{metric.series}`",
            metric.kind.value,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.help,
        )
        for metric in METRICS
    )
    yield _table(("name", "type", "labels", "meaning"), rows)


def log_events_page() -> Iterator[str]:
    """Every log event with its level, its fields and the file that logs it."""
    yield "# Log events"
    yield (
        "One line for each event, on stderr: JSON or, with `LOG_FORMAT=console`, text. Every line has `event`, "
        "`level`, `logger` and `timestamp`; `request_id` for those of a request, `stream_id` for those of a stream, "
        "`round_id` and `tick_id` for those of a round and its price, and `trace_id` where it is traced."
    )
    rows = (
        (f"`{event.event}`", event.level, ", ".join(f"`{name}`" for name in event.fields), f"`{event.file}`")
        for event in log_events(PACKAGE)
    )
    yield _table(("event", "level", "fields", "logged by"), rows)


def errors_page() -> Iterator[str]:
    """The tree of errors with their meaning and attributes."""
    yield "# Errors"
    yield (
        "The exceptions of `btc_price_tracker.errors`. The text of each is a sentence for an operator. "
        "Errors of the HTTP API are [problem details](http.md)."
    )
    yield "\n".join(_tree(errors.TrackerError, 0))


def _tree(error: type[Exception], depth: int) -> Iterator[str]:
    attributes = [f"`{name}`" for name in _attributes(error)]
    having = f" Attributes: {', '.join(attributes)}." if attributes else ""
    yield f"{'  ' * depth}- `{error.__name__}`: {' '.join(inspect.getdoc(error).split())}{having}"  # type: ignore[union-attr] # ruff wants docstrings
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from _tree(child, depth + 1)


def _attributes(error: type) -> list[str]:
    """The attributes that the constructor of a class sets."""
    nodes = ast.walk(ast.parse(inspect.getsource(error)))
    targets = [target for node in nodes if isinstance(node, ast.Assign) for target in node.targets]
    return [target.attr for target in targets if isinstance(target, ast.Attribute)]


def http_page() -> Iterator[str]:
    """Every route of the API with its parameters and statuses, from the OpenAPI document."""
    document = asyncio.run(_openapi())
    yield "# HTTP API"
    yield (
        "A running server has all of this with schemas and examples at `/docs` and `/openapi.json`. Errors are "
        "`application/problem+json` (RFC 9457). Every response has an `X-Request-ID`."
    )
    for path, operations in document["paths"].items():
        yield from _route(path, operations["get"])


def _route(path: str, route: dict[str, Any]) -> Iterator[str]:
    yield f"## `GET {path}`"
    yield route.get("description") or route["summary"]
    parameters = (
        (f"`{parameter['name']}`", parameter["in"], parameter.get("description", ""))
        for parameter in route.get("parameters", ())
    )
    if route.get("parameters"):
        yield _table(("parameter", "in", "meaning"), parameters)
    statuses = ((status, response["description"]) for status, response in sorted(route["responses"].items()))
    yield _table(("status", "meaning"), statuses)
    for media in route["responses"]["200"].get("content", {}).values():
        if "x-events" in media:
            yield f"Events: {', '.join(f'`{name}`' for name in media['x-events'])}."


async def _openapi() -> dict[str, Any]:
    settings = load({"store_url": "memory://"})
    async with app.compose(settings, SystemClock(), detach=False) as service:
        transport = httpx2.ASGITransport(service.application)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            document: dict[str, Any] = json.loads((await client.get("/openapi.json")).content)
            return document


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(map(_row, [titles, ("---",) * len(titles), *rows]))


def _row(cells: tuple[str, ...]) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "commands.md": commands_page,
    "errors.md": errors_page,
    "http.md": http_page,
    "log-events.md": log_events_page,
    "metrics.md": metrics_page,
    "settings.md": settings_page,
}


def main() -> int:
    """Write the pages, or check them; returns the exit code."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="report outdated pages instead of writing them")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    pages = {arguments.folder / name: "\n\n".join([NOTE, *page()]) + "\n" for name, page in PAGES.items()}
    outdated = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    if arguments.check:
        for path in outdated:
            print(f"{path.name} is out of date: run `make docs`")
        return 1 if outdated else 0
    for path in outdated:
        path.write_text(pages[path])
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
