"""The scopes of access tokens: what each of them opens."""

from enum import StrEnum


class Scope(StrEnum):
    """What a token may be used for; `web/access/check.py` has the routes of each."""

    STREAM = "stream"  # the live price
    HISTORY = "history"  # stored prices
    SOURCES = "sources"  # the state of the sources
    METRICS = "metrics"
    DOCS = "docs"  # the description of the API


Scopes = frozenset[Scope]

ALL: Scopes = frozenset(Scope)
NONE: Scopes = frozenset()
USUAL: Scopes = ALL - {Scope.METRICS}  # for clients: metrics tell an operator's affairs


def parse(text: str) -> Scopes:
    """The scopes in a list separated by commas. Raises ValueError with the remedy."""
    names = {name.strip().lower() for name in text.split(",") if name.strip()}
    if not names or not names <= set(Scope):
        raise ValueError(f"give one or more of {', '.join(Scope)}, separated by commas")
    return frozenset(map(Scope, names))


def in_order(scopes: Scopes) -> list[Scope]:
    """Scopes in the order in which they are documented."""
    return [scope for scope in Scope if scope in scopes]
