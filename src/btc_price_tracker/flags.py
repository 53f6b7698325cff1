"""The flags of each command. Imports stay inside, so that `--help` is quick."""

import argparse
from collections.abc import Mapping
from contextlib import suppress

# Only these sources were recorded, and recorded prices are never mixed with a real history. A price a second is a
# minute of history each at the default speed.
DEMO = {"sources": "coinbase,kraken,binanceus,coingecko", "store_url": "memory://", "interval": "1"}


def add_flags(parser: argparse.ArgumentParser, name: str) -> None:
    """Give the parser of a command its flags: every setting, but for `history`, which asks a server."""
    if name == "history":
        _add_history_flags(parser)
        return
    parser.usage = f"{parser.prog} [options]"
    if name == "demo":
        parser.add_argument(
            "--speed", type=_speed, default="60", help="how many times as fast as it was (default: 60)"
        )
    if name in ("export", "import"):
        parser.usage += " [file]"
        parser.add_argument("file", nargs="?", default="-", help="path; - for the standard stream (default)")
        parser.add_argument(
            "--format",
            choices=("csv", "jsonl"),
            help="jsonl has every quote, too (default: jsonl for files called .jsonl or .ndjson, else csv)",
        )
    _add_settings(parser, DEMO if name == "demo" else {})


def _add_history_flags(parser: argparse.ArgumentParser) -> None:
    from btc_price_tracker.price.candles import INTERVALS

    parser.add_argument(
        "url", nargs="?", default="http://127.0.0.1:8082", help="of the server (default: %(default)s)"
    )
    for flag, words in (("--since", "from this moment on"), ("--until", "up to and including this moment")):
        parser.add_argument(
            flag, type=_moment, help=f"{words}: seconds since the epoch, or like 2026-11-22T09:30"
        )
    parser.add_argument("--interval", choices=INTERVALS, help="candles of this width")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")


def _add_settings(parser: argparse.ArgumentParser, defaults: Mapping[str, str]) -> None:
    """A flag for every setting; `defaults` are a command's own."""
    from btc_price_tracker.settings import Settings

    for field, info in Settings.model_fields.items():
        default = defaults.get(field) or ("" if info.default_factory else _plain(info.default))
        words = f"{info.description} (default: {default})" if default else f"{info.description}"
        metavar = "URL" if field.endswith("_url") else field.split("_")[-1].upper()
        parser.add_argument(f"--{field.replace('_', '-')}", metavar=metavar, help=words.replace("%", "%%"))


def _speed(text: str) -> str:
    with suppress(ValueError):
        if 0 < float(text) <= 3600:
            return text
    raise argparse.ArgumentTypeError("give a number above 0 and up to 3600")


def _moment(text: str) -> str:
    from btc_price_tracker.past import moment

    try:
        return str(moment(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{error}; give seconds since the epoch, or like 2026-11-22T09:30"
        ) from None


def _plain(default: object) -> str:
    if default is None:
        return ""
    return ",".join(default) if isinstance(default, tuple) else str(default)
