"""The commands: parse and call, no logic. Imports stay inside the commands, so that `--help` is quick."""

import argparse
import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from btc_price_tracker import __version__
from btc_price_tracker.cli.flags import add_flags
from btc_price_tracker.cli.parser import Parser, choose
from btc_price_tracker.errors import describe_os_error

if TYPE_CHECKING:
    from btc_price_tracker.settings import Settings
    from btc_price_tracker.store import Store

PROGRAM = "btc-price-tracker"
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 it failed, 2 the call or the settings are wrong."""
    _fill_standard_descriptors()
    signal.signal(signal.SIGTERM, _end)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without our letters gets question marks
    try:
        code = _parse_and_run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BrokenPipeError:  # as with `| head`: nobody wants more
        code = 128 + signal.SIGPIPE
    try:
        _flush()
    except OSError:  # said already; the interpreter's own flush would say it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def _fill_standard_descriptors() -> None:
    """Open /dev/null in place of those that are closed: a socket could get their number, which libuv won't close.

    What is said to a closed stderr goes there, too: else `print` would say it on stdout.
    """
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest number that is free
        pass
    os.close(spare)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115 - until the end


def _end(number: int, _: object) -> NoReturn:
    """End until `serve` has its own way: the first process of a container would not be ended by the signal."""
    sys.exit(128 + number)


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _parse_and_run(words: Sequence[str]) -> int:
    program = argparse.ArgumentParser(
        PROGRAM, description="A Bitcoin price you can trust, from your own machine."
    )
    program.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers = program.add_subparsers(metavar="command", required=True, parser_class=Parser)
    parsers = {}
    for name, command in _COMMANDS.items():
        summary = (command.__doc__ or "").partition("\n")[0]  # `python -OO` leaves none
        parsers[name] = subparsers.add_parser(
            name,
            help=summary,
            description=summary,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    name = choose(program, words, _COMMANDS)
    add_flags(parsers[name], name)  # of no other: the settings take their time to import
    return _run(_COMMANDS[name], parsers[name].parse(words[1:]))


def _serve(flags: dict[str, str]) -> int:
    """The server: collects, stores, streams, serves the page."""
    from btc_price_tracker.app import run

    return _until_stopped(flags, run)


def _demo(flags: dict[str, str]) -> int:
    """The same server against recorded real exchanges, for a machine without internet."""
    from btc_price_tracker.cli.demo import own_settings, run

    speed = float(flags.pop("speed"))
    settings, ignored = own_settings(flags, os.environ)
    return _until_stopped(settings, lambda settings: run(settings, speed, ignored))


def _sources(flags: dict[str, str]) -> int:
    """Ask every configured source once; exit 1 if there is no quorum."""
    from btc_price_tracker.cli.report import print_sources
    from btc_price_tracker.settings import load
    from btc_price_tracker.telemetry import logs

    logs.configure("error", "auto")  # the table says it all
    return asyncio.run(print_sources(load(flags)))


def _check(flags: dict[str, str]) -> int:
    """Validate the settings, open the store, print what was found."""
    from btc_price_tracker.cli.report import print_check

    return asyncio.run(print_check(_load(flags)))


def _history(flags: dict[str, str]) -> int:
    """Prices or candles of a running server, to the terminal or a file."""
    from btc_price_tracker.cli.history import fetch, server_url
    from btc_price_tracker.cli.tables import write

    form = flags.pop("format")
    url = server_url(flags)
    query = {name: value for name, value in flags.items() if name in ("since", "until", "interval")}
    asyncio.run(write(fetch(url, query), form, sys.stdout))
    return 0


def _export(flags: dict[str, str]) -> int:
    """Write everything that the store holds to a file, or to standard output."""
    from btc_price_tracker.cli.replacement import replacing
    from btc_price_tracker.store.export import export, format_of

    path = flags.pop("file")
    form = format_of(path, flags.pop("format", None))
    settings = _load(flags)
    with replacing(path, settings.store_url) if path != "-" else nullcontext(sys.stdout) as file:
        count = asyncio.run(_with_store(settings, lambda store: export(store, file, form)))
    print(f"{count} prices written", file=sys.stderr)
    return 0


def _import(flags: dict[str, str]) -> int:
    """Take the prices of a file into the store; those it has already stay as they are."""
    from btc_price_tracker.clock import SystemClock
    from btc_price_tracker.store.export import format_of, import_ticks

    now = SystemClock().now()
    path = flags.pop("file")
    form = format_of(path, flags.pop("format", None))
    settings = _load(flags)
    with open(0 if path == "-" else path, encoding="utf-8-sig") as file:  # spreadsheets begin it with a mark
        imported = asyncio.run(_with_store(settings, lambda store: import_ticks(store, file, form, now)))
    print(f"{imported.read} prices read, {imported.new} of them new", file=sys.stderr)
    return 0


_COMMANDS = {
    "serve": _serve,
    "demo": _demo,
    "sources": _sources,
    "check": _check,
    "history": _history,
    "export": _export,
    "import": _import,
}


def _run(command: Callable[[dict[str, str]], int], flags: dict[str, str]) -> int:
    """Run a command; what can go wrong in its surroundings is a sentence, not a traceback."""
    from btc_price_tracker.errors import InvalidStoreUrl, RecordError, ServerError, SettingsError, StoreError

    named = flags.get("file", "-") != "-"  # then it is a file, not a standard stream, that is read or written
    if sys.stdout is None and command in (_sources, _check, _history, _export) and not named:
        return _complain("standard output is closed", 1)
    if sys.stdin is None and command is _import and not named:
        return _complain("standard input is closed", 1)
    try:
        code = command(flags)
        _flush()
    except BrokenPipeError:
        raise
    except (SettingsError, InvalidStoreUrl) as error:
        return _complain(f"these settings can't be used:\n{error}", 2)
    except (StoreError, RecordError, ServerError) as error:
        return _complain(str(error), 1)
    except OSError as error:
        return _complain(_words(error), 1)
    return code


def _words(error: OSError) -> str:
    file = f"{error.filename}: " if error.filename is not None else ""
    return f"{file}{describe_os_error(error)}"


def _complain(words: str, code: int) -> int:
    """Say what went wrong, after what the log says of it, and return the exit code."""
    for handler in logging.root.handlers:
        handler.flush()
    print(f"{PROGRAM}: {words}", file=sys.stderr)
    return code


async def _with_store(settings: "Settings", action: "Callable[[Store], Awaitable[T]]") -> T:
    from btc_price_tracker.app import open_configured_store

    async with open_configured_store(settings) as store:
        return await action(store)


def _load(flags: Mapping[str, str | None]) -> "Settings":
    """Load the settings, raise the limit of open files and set up logging on stderr."""
    from btc_price_tracker.settings import load
    from btc_price_tracker.settings.open_files import raise_file_limit
    from btc_price_tracker.telemetry import logs

    raise_file_limit()  # first: MAX_CLIENTS follows from it
    settings = load(flags)
    logs.configure(settings.log_level, settings.log_format)
    return settings


def _until_stopped(
    flags: Mapping[str, str | None], service: "Callable[[Settings], Coroutine[Any, Any, None]]"
) -> int:
    import structlog
    import uvloop

    settings = _load(flags)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(service(settings))
        except ExceptionGroup:
            structlog.get_logger(__name__).exception("a part of the server failed, so it ends")
            return 1
    return 0
