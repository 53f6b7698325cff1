"""The commands: parse and call, no logic. Imports stay inside the commands, so that `--help` is quick."""

import argparse
import asyncio
import io
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from btc_price_tracker import __version__
from btc_price_tracker.flags import DEMO, add_flags

if TYPE_CHECKING:
    from btc_price_tracker.settings import Settings
    from btc_price_tracker.store import Store

PROGRAM = "btc-price-tracker"


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
    parser = argparse.ArgumentParser(
        PROGRAM, description="A Bitcoin price you can trust, from your own machine."
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    for name, command in _COMMANDS.items():
        summary = (command.__doc__ or "").partition("\n")[0]  # `python -OO` leaves none
        subparser = commands.add_parser(name, help=summary, description=summary)
        subparser.set_defaults(command=command)
        if name in words:  # else nobody looks at its flags, and the settings take their time to import
            add_flags(subparser, name)
    parsed = vars(parser.parse_args(words))
    return _run(parsed.pop("command"), {name: value for name, value in parsed.items() if value is not None})


def _serve(flags: dict[str, str]) -> int:
    """The server: collects, stores, streams, serves the page."""
    from btc_price_tracker.app import run

    return _until_stopped(flags, run)


def _demo(flags: dict[str, str]) -> int:
    """The same server against recorded real exchanges, for a machine without internet."""
    from btc_price_tracker.demo import run

    speed = float(flags.pop("speed"))
    defaults = {
        name: value for name, value in DEMO.items() if name != "interval" or not os.environ.get("INTERVAL")
    }
    return _until_stopped({**defaults, **flags}, lambda settings: run(settings, speed))


def _sources(flags: dict[str, str]) -> int:
    """Ask every configured source once; exit 1 if there is no quorum."""
    from btc_price_tracker.report import print_sources
    from btc_price_tracker.settings import load
    from btc_price_tracker.telemetry import logs

    logs.configure("error", "auto")  # the table says it all
    return asyncio.run(print_sources(load(flags)))


def _check(flags: dict[str, str]) -> int:
    """Validate the settings, open the store, print what was found."""
    from btc_price_tracker.report import print_check

    return asyncio.run(print_check(_load(flags)))


def _history(flags: dict[str, str]) -> int:
    """Prices or candles of a running server, to the terminal or a file."""
    from btc_price_tracker.past import fetch
    from btc_price_tracker.rows import write

    url, form = flags.pop("url"), flags.pop("format")
    asyncio.run(write(fetch(url, flags), form, sys.stdout))
    return 0


def _export(flags: dict[str, str]) -> int:
    """Write everything that the store holds to a file, or to standard output."""
    from btc_price_tracker.replacement import replacing
    from btc_price_tracker.transfer import export

    path, form = flags.pop("file"), flags.pop("format")
    with replacing(path) if path != "-" else nullcontext(sys.stdout) as file:
        count = asyncio.run(_with_store(flags, lambda store: export(store, file, form)))
    print(f"{count} prices written", file=sys.stderr)
    return 0


def _import(flags: dict[str, str]) -> int:
    """Take the prices of a file into the store; those it has already stay as they are."""
    from btc_price_tracker.clock import SystemClock
    from btc_price_tracker.transfer import take_in

    now = SystemClock().now()
    path, form = flags.pop("file"), flags.pop("format")
    with open(0 if path == "-" else path, encoding="utf-8-sig") as file:  # spreadsheets begin it with a mark
        count = asyncio.run(_with_store(flags, lambda store: take_in(store, file, form, now)))
    print(f"{count} prices read", file=sys.stderr)
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
    from btc_price_tracker.past import HistoryError
    from btc_price_tracker.settings import SettingsError
    from btc_price_tracker.store import StoreError, UnusableUrl
    from btc_price_tracker.transfer import TransferError

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
    except (SettingsError, UnusableUrl) as error:
        return _complain(f"these settings can't be used:\n{error}", 2)
    except (StoreError, TransferError, HistoryError, OSError) as error:
        return _complain(str(error), 1)
    return code


def _complain(words: str, code: int) -> int:
    """Say what went wrong, after what the log says of it, and return the exit code."""
    for handler in logging.root.handlers:
        handler.flush()
    print(f"{PROGRAM}: {words}", file=sys.stderr)
    return code


async def _with_store(flags: dict[str, str], action: "Callable[[Store], Awaitable[int]]") -> int:
    from btc_price_tracker.app import history

    async with history(_load(flags)) as store:
        return await action(store)


def _load(flags: dict[str, str]) -> "Settings":
    """Load the settings, raise the limit of open files and set up logging on stderr."""
    from btc_price_tracker.open_files import raise_file_limit
    from btc_price_tracker.settings import load
    from btc_price_tracker.telemetry import logs

    raise_file_limit()  # first: MAX_CLIENTS follows from it
    settings = load(flags)
    logs.configure(settings.log_level, settings.log_format)
    return settings


def _until_stopped(flags: dict[str, str], service: "Callable[[Settings], Coroutine[Any, Any, None]]") -> int:
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
