"""A file of named tokens, one of each scope and one of all."""

from pathlib import Path

from btc_price_tracker.access.scopes import ALL, Scope, Scopes, in_order
from btc_price_tracker.access.token import Token, digest_of
from btc_price_tracker.access.token_file import changing

TOKENS = {**{str(scope): f"token-of-{scope}" for scope in Scope}, "all": "token-of-all-scopes"}
CREATED = 1_764_000_000


def token(name: str, secret: str, scopes: Scopes, max_streams: int = 0) -> Token:
    return Token(
        name=name,
        sha256=digest_of(secret).hex(),
        scopes=tuple(in_order(scopes)),
        max_streams=max_streams,
        created=CREATED,
    )


def write_tokens(path: Path, **changed: Scopes) -> None:
    """Write every token; those that are named get other scopes, and without any they are left out."""
    with changing(path) as tokens:
        tokens.clear()
        for name, secret in TOKENS.items():
            usual = ALL if name == "all" else frozenset({Scope(name)})
            if scopes := changed.get(name, usual):
                tokens.append(token(name, secret, scopes, max_streams=2 if name == "all" else 0))
