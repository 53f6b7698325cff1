"""The flags of each command: those that it uses, in groups. Imports stay inside, so that `--help` is quick."""

import argparse
from collections.abc import Iterable
from contextlib import suppress

from btc_price_tracker.cli.parser import Parser

# Only these sources were recorded, and recorded prices must not mix with real ones: SOURCES, STORE_URL and BROKER_URL
# of the environment are ignored. At one price a second and the default speed, each price is a minute of history.
DEMO = {"sources": "coinbase,kraken,binanceus,coingecko", "store_url": "memory://", "interval": "1"}
DEMO_ONLY_FLAGS = ("sources", "store_url", "broker_url")

SERVER, SOURCES, STORE, LOG = "server", "sources", "store", "log"
_USES = {
    "serve": (SERVER, SOURCES, STORE, LOG),
    "demo": (SERVER, SOURCES, STORE, LOG),
    "check": (SERVER, SOURCES, STORE, LOG),
    "doctor": (SERVER, SOURCES, STORE, LOG),
    "sources": (SOURCES,),
    "export": (STORE, LOG),
    "import": (STORE, LOG),
}
_SOURCE_FIELDS = {"sources", "policy", "interval", "coingecko_api_key"}  # and the URL of each source
_STORE_FIELDS = {"store_url", "store_size", "retention"}
_TIMES = "seconds since the epoch, a time like 2026-11-22T09:30 (UTC), or a time ago like -1h"


def add_flags(parser: Parser, name: str) -> None:
    """Add the flags of the command `name` to its parser."""
    from btc_price_tracker.settings import SECRETS, Settings

    parser.usage = f"{parser.prog} [flags]"
    parser.secrets, parser.settings = SECRETS, tuple(Settings.model_fields)
    if name == "history":
        _add_history_flags(parser)
        return
    if name == "token":
        _add_token_flags(parser)
        return
    if name == "demo":
        parser.add_argument(
            "--speed", type=_speed, default="60", help="playback speed, as a factor (default: 60)"
        )
    if name in ("export", "import"):
        parser.usage += " [file]"
        parser.add_argument("file", nargs="?", default="-", help="path; - for the standard stream (default)")
        parser.add_argument(
            "--format",
            choices=("csv", "jsonl"),
            help="jsonl includes every quote (default: jsonl for names in .jsonl or .ndjson, else csv)",
        )
    _add_settings(parser, name)


def _add_history_flags(parser: Parser) -> None:
    from btc_price_tracker.price.candles import INTERVALS
    from btc_price_tracker.settings import CLIENT_SECRETS, SECRETS, AccessToken, Settings

    parser.usage = f"{parser.usage} [URL]"
    server = parser.add_argument_group(SERVER)
    server.add_argument("url", nargs="?", metavar="URL", help="URL of the server (default: by HOST and PORT)")
    server.add_argument("--url", dest="url_flag", metavar="URL", help="the same as a flag")
    for field, meaning in (("host", "address that it listens on"), ("port", "port that it listens on")):
        default = Settings.model_fields[field].default
        server.add_argument(f"--{field}", help=f"{meaning} ({field.upper()}; default: {default})")
    prices = parser.add_argument_group("prices")
    prices.add_argument("--since", type=_time, metavar="TIME", help=f"first time, inclusive: {_TIMES}")
    prices.add_argument("--until", type=_time, metavar="TIME", help="last time, inclusive")
    prices.add_argument("--interval", choices=INTERVALS, help="candles of this interval instead of prices")
    parser.secrets = (*CLIENT_SECRETS, *SECRETS)
    parser.epilog = (
        "secrets, from the environment or a file that …_FILE names:\n"
        f"  ACCESS_TOKEN: {AccessToken.model_fields['access_token'].description}"
    )
    output = parser.add_argument_group("output").add_mutually_exclusive_group()
    output.add_argument("--format", choices=("table", "json", "csv"), default="table", help="default: table")
    output.add_argument(
        "--plot", dest="format", action="store_const", const="plot", help="a chart instead of a table"
    )


def _add_token_flags(parser: Parser) -> None:
    from btc_price_tracker.access.scopes import USUAL, Scope, in_order

    parser.usage = f"{parser.usage} {{create,list,revoke}} [NAME]"
    parser.add_argument("action", choices=("create", "list", "revoke"), help="create prints the token, once")
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of the token")
    parser.add_argument(
        "--scopes",
        type=_scopes,
        help=f"what it may be used for, separated by commas, out of {', '.join(Scope)} "
        f"(default: {','.join(in_order(USUAL))})",
    )
    parser.add_argument(
        "--max-streams", type=_number, metavar="N", help="most streams open at once (default: 0, no limit)"
    )
    _add_fields(parser, ["tokens_file"], "token")


def _add_settings(parser: Parser, name: str) -> None:
    """Add a flag for every setting that a command uses, except secrets, which the epilog lists."""
    from btc_price_tracker.settings import SECRETS, Settings

    used = [field for field in Settings.model_fields if _is_used(field, name)]
    for group in _USES[name]:
        fields = [field for field in used if group_of(field) == group and field not in SECRETS]
        _add_fields(parser.add_argument_group(group), fields, name)
    secrets = [field for field in used if field in SECRETS]
    if secrets:
        lines = [f"  {field.upper()}: {Settings.model_fields[field].description}" for field in secrets]
        parser.epilog = "\n".join(["secrets, from the environment or a file that …_FILE names:", *lines])


def _add_fields(group: "argparse._ActionsContainer", fields: Iterable[str], name: str) -> None:
    for field in fields:
        group.add_argument(f"--{field.replace('_', '-')}", metavar=_metavar(field), help=_help(field, name))


def _metavar(field: str) -> str:
    from btc_price_tracker.settings import Settings

    if Settings.model_fields[field].annotation is bool:
        return "BOOL"
    return "URL" if field.endswith("_url") else field.rpartition("_")[2].upper()


def _help(field: str, name: str) -> str:
    """The description of a setting, its environment variables and its default."""
    from btc_price_tracker.settings import FROM_FILES, Settings
    from btc_price_tracker.settings.values import setting_text

    info = Settings.model_fields[field]
    value = info.get_default(call_default_factory=True)
    default = "" if value is None else setting_text(field, value)
    if name == "demo":
        default = DEMO.get(field, default)
    variables = f"{field.upper()} or {field.upper()}_FILE" if field in FROM_FILES else field.upper()
    known = [] if name == "demo" and field in DEMO_ONLY_FLAGS else [variables]
    notes = "; ".join([*known, *([f"default: {default}"] if default else [])])
    return f"{info.description} ({notes})".replace("%", "%%")


def _is_used(field: str, name: str) -> bool:
    if name == "demo" and (_is_source_url(field) or field == "coingecko_api_key"):
        return False  # it polls the recorded sources
    return group_of(field) in _USES[name]


def group_of(field: str) -> str:
    """The group of a setting: server, sources, store or log."""
    if field in _SOURCE_FIELDS or _is_source_url(field):
        return SOURCES
    if field in _STORE_FIELDS:
        return STORE
    return LOG if field.startswith("log_") else SERVER


def _is_source_url(field: str) -> bool:
    from btc_price_tracker import sources

    return field.endswith("_url") and field.removesuffix("_url") in sources.SOURCES


def _speed(text: str) -> str:
    with suppress(ValueError):
        if 0 < float(text) <= 3600:
            return text
    raise argparse.ArgumentTypeError(f"give a number above 0 and up to 3600, not {text!r}")


def _scopes(text: str) -> str:
    from btc_price_tracker.access.scopes import parse

    try:
        parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; not {text!r}") from None
    return text


def _number(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"give a whole number, 0 for no limit; not {text!r}")
    return text


def _time(text: str) -> str:
    from btc_price_tracker.cli.history import parse_time
    from btc_price_tracker.clock import SystemClock

    try:
        return str(parse_time(text, SystemClock().now() // 1000))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"give {_TIMES}; not {text!r}") from None
