"""The entry point: choose a command, run it, and make of what goes wrong a sentence and an exit code."""

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from btc_price_tracker import __version__
from btc_price_tracker.cli.flags import add_flags
from btc_price_tracker.cli.parser import Parser, choose
from btc_price_tracker.errors import (
    InvalidStoreUrl,
    RecordError,
    ServerError,
    SettingsError,
    StoreError,
    describe_os_error,
)

PROGRAM = "btc-price-tracker"


class Command(NamedTuple):
    """A command: what runs it, what `--help` says of it, and the standard stream that it can't do without."""

    entry: str  # module and function; imported when the command runs, so that `--help` is quick
    summary: str
    stream: str | None = None  # unless it is given a file instead

    def run(self, flags: dict[str, str]) -> int:
        """Run it, and return the exit code."""
        module, _, function = self.entry.partition(":")
        run: Callable[[dict[str, str]], int] = getattr(import_module(f"{__package__}.{module}"), function)
        return run(flags)


COMMANDS = {
    "serve": Command("serve:run", "The server: collects, stores, streams, serves the page."),
    "demo": Command(
        "demo:run", "The same server against recorded real exchanges, for a machine without internet."
    ),
    "sources": Command(
        "sources:run", "Ask every configured source once; exit 1 if there is no quorum.", "stdout"
    ),
    "check": Command("check:run", "Validate the settings, open the store, print what was found.", "stdout"),
    "history": Command(
        "history:run", "Prices or candles of a running server, to the terminal or a file.", "stdout"
    ),
    "export": Command(
        "transfer:run_export",
        "Write everything that the store holds to a file, or to standard output.",
        "stdout",
    ),
    "import": Command(
        "transfer:run_import",
        "Take the prices of a file into the store; those it has already stay as they are.",
        "stdin",
    ),
}


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
    parsers = {
        name: subparsers.add_parser(
            name,
            help=command.summary,
            description=command.summary,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, command in COMMANDS.items()
    }
    name = choose(program, words, COMMANDS)
    add_flags(parsers[name], name)  # of no other: the settings take their time to import
    return _run(COMMANDS[name], parsers[name].parse(words[1:]))


def _run(command: Command, flags: dict[str, str]) -> int:
    """Run a command; what can go wrong in its surroundings is a sentence, not a traceback."""
    named = flags.get("file", "-") != "-"  # then it is a file, not a standard stream, that is read or written
    if command.stream and getattr(sys, command.stream) is None and not named:
        return _complain(f"standard {command.stream.removeprefix('std')}put is closed", 1)
    try:
        code = command.run(flags)
        _flush()
    except BrokenPipeError:
        raise
    except (SettingsError, InvalidStoreUrl) as error:
        return _complain(f"these settings can't be used:\n{error}", 2)
    except (StoreError, RecordError, ServerError) as error:
        return _complain(str(error), 1)
    except OSError as error:
        file = f"{error.filename}: " if error.filename is not None else ""
        return _complain(f"{file}{describe_os_error(error)}", 1)
    return code


def _complain(words: str, code: int) -> int:
    """Say what went wrong, after what the log says of it, and return the exit code."""
    for handler in logging.root.handlers:
        handler.flush()
    print(f"{PROGRAM}: {words}", file=sys.stderr)
    return code
