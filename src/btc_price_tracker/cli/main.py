"""Entry point: choose the command, run it, and report errors as a message and an exit code."""

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
    BrokerError,
    InvalidBrokerUrl,
    InvalidStoreUrl,
    RecordError,
    ServerError,
    SettingsError,
    StoreError,
    TokensError,
    describe_os_error,
)

PROGRAM = "btc-price-tracker"
_STREAMS = {"stdin": "standard input", "stdout": "standard output"}


class Command(NamedTuple):
    """What runs a command, its summary for `--help`, and the standard stream that it requires."""

    entry: str  # module:function, imported when the command runs, so that `--help` is quick
    summary: str
    stream: str | None = None  # unless a file is named instead

    def run(self, flags: dict[str, str]) -> int:
        """Run the command; returns its exit code."""
        module, _, function = self.entry.partition(":")
        run: Callable[[dict[str, str]], int] = getattr(import_module(f"{__package__}.{module}"), function)
        return run(flags)


COMMANDS = {
    "serve": Command("serve:run", "Run the server: collect, store and stream prices, and serve the page."),
    "demo": Command(
        "demo:run", "Run the same server on recorded exchanges, for a machine without internet access."
    ),
    "sources": Command("sources:run", "Poll every source once; exit with 1 if there is no quorum.", "stdout"),
    "check": Command(
        "check:run", "Validate the settings, open the store, and print what was found.", "stdout"
    ),
    "doctor": Command(
        "doctor:run",
        "Examine this machine, the sources, the store and the broker; print what limits the service.",
        "stdout",
    ),
    "history": Command("history:run", "Print prices or candles of a running server.", "stdout"),
    "token": Command("token:run", "Create, list or revoke the named access tokens in TOKENS_FILE.", "stdout"),
    "export": Command(
        "transfer:run_export", "Write all prices in the store to a file or standard output.", "stdout"
    ),
    "import": Command(
        "transfer:run_import",
        "Add the prices in a file to the store; prices that it already has stay unchanged.",
        "stdin",
    ),
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 for success, 1 for a failure, 2 for invalid arguments or settings."""
    _fill_standard_descriptors()
    signal.signal(signal.SIGTERM, _exit)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character gets a question mark
    try:
        code = _parse_and_run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BrokenPipeError:  # the reader has enough, as with `| head`
        code = 128 + signal.SIGPIPE
    try:
        _flush()
    except OSError:  # reported already; the flush at interpreter exit would report it again
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)


def _fill_standard_descriptors() -> None:
    """Open /dev/null in place of closed standard streams: a socket could get their number, which libuv won't close.

    A closed stderr becomes a text stream again: otherwise `print(file=None)` writes to stdout.
    """
    while (spare := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest free number
        pass
    os.close(spare)
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115 - until exit


def _exit(number: int, _: object) -> NoReturn:
    """Exit on SIGTERM until `serve` handles it: PID 1 of a container has no default action for signals."""
    sys.exit(128 + number)


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _parse_and_run(arguments: Sequence[str]) -> int:
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
    name = choose(program, arguments, COMMANDS)
    add_flags(parsers[name], name)  # of this command only: the settings take time to import
    return _run(COMMANDS[name], parsers[name].parse(arguments[1:]))


def _run(command: Command, flags: dict[str, str]) -> int:
    """Run a command; errors of its surroundings become a message instead of a traceback."""
    has_file = flags.get("file", "-") != "-"
    if command.stream and getattr(sys, command.stream) is None and not has_file:
        return _fail(f"{_STREAMS[command.stream]} is closed", 1)
    try:
        code = command.run(flags)
        _flush()
    except BrokenPipeError:
        raise
    except (SettingsError, InvalidStoreUrl, InvalidBrokerUrl) as error:
        return _fail(f"invalid settings:\n{error}", 2)
    except (StoreError, BrokerError, RecordError, ServerError, TokensError) as error:
        return _fail(str(error), 1)
    except OSError as error:
        file = f"{error.filename}: " if error.filename is not None else ""
        return _fail(f"{file}{describe_os_error(error)}", 1)
    return code


def _fail(message: str, code: int) -> int:
    """Print an error message after the log lines that led to it; returns the exit code."""
    for handler in logging.root.handlers:
        handler.flush()
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    return code
