"""`token`: create, list and revoke the named access tokens in TOKENS_FILE."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from btc_price_tracker.access import scopes
from btc_price_tracker.access.token import Token, check_name, digest_of, generate
from btc_price_tracker.access.token_file import changing, read
from btc_price_tracker.clock import SystemClock
from btc_price_tracker.errors import SettingsError, TokensError
from btc_price_tracker.settings import load_tokens_file

_HEADINGS = ("name", "scopes", "max streams", "created (UTC)")


def run(flags: dict[str, str]) -> int:
    """Run one action; returns the exit code. Raises SettingsError and TokensError."""
    action, name = flags.pop("action"), flags.pop("name", None)
    wanted = flags.pop("scopes", None)
    most = flags.pop("max_streams", None)
    path = load_tokens_file(flags)
    if action != "create" and (wanted or most):
        raise SettingsError([f"token {action} takes neither --scopes nor --max-streams"])
    if action == "list":
        if name is not None:
            raise SettingsError(["token list takes no name"])
        _list(read(path))
    elif name is None:
        raise SettingsError([f"token {action} needs the name of a token"])
    elif action == "create":
        _create(path, name, scopes.USUAL if wanted is None else scopes.parse(wanted), int(most or 0))
    else:
        _revoke(path, name)
    return 0


def _create(path: Path, name: str, granted: scopes.Scopes, max_streams: int) -> None:
    """Print a new token, and nothing else, on the standard output."""
    try:
        check_name(name)
    except ValueError as error:
        raise SettingsError([f"the name of a token: {error}, not {name!r}"]) from None
    secret = generate()
    token = Token(
        name=name,
        sha256=digest_of(secret).hex(),
        scopes=tuple(scopes.in_order(granted)),
        max_streams=max_streams,
        created=SystemClock().now() // 1000,
    )
    with changing(path) as tokens:
        if name in [each.name for each in tokens]:
            raise TokensError(f"{path} has a token {name!r} already; revoke it first or give another name")
        tokens.append(token)
    print(secret)
    _say(
        f"Token {name!r} is in {path}, with the scopes {', '.join(token.scopes)}. It is shown this once only."
    )


def _revoke(path: Path, name: str) -> None:
    with changing(path) as tokens:
        if name not in [each.name for each in tokens]:
            known = ", ".join(each.name for each in tokens) or "none"
            raise TokensError(f"{path} has no token {name!r}; it has {known}")
        tokens[:] = [each for each in tokens if each.name != name]
    _say(f"Token {name!r} is revoked. A running server ends its streams within a second.")


def _list(tokens: Sequence[Token]) -> None:
    rows = [_HEADINGS, *map(_row, tokens)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(token: Token) -> tuple[str, ...]:
    created = datetime.fromtimestamp(token.created, UTC).isoformat(" ", "minutes").removesuffix("+00:00")
    return token.name, ",".join(token.scopes), str(token.max_streams or "-"), created


def _say(text: str) -> None:
    print(text, file=sys.stderr)
