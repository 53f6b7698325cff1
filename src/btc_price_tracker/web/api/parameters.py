"""Query parameters: each route knows its own, and a misspelt one is refused rather than left unread. Pure."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from btc_price_tracker.web.problems import Problem

SHOWN = 40  # characters of a name


def check_known(given: Iterable[str], known: Collection[str]) -> None:
    """Raises Problem (400) for the first parameter that a route doesn't know, with the nearest that it does."""
    for name in given:
        if name not in known:
            raise Problem(400, f"There is no parameter {name[:SHOWN]!r} here: {_advice(name[:SHOWN], known)}")


def _advice(name: str, known: Collection[str]) -> str:
    if not known:
        return "this takes none."
    if near := get_close_matches(name.lower(), known, n=1):
        return f"did you mean {near[0]!r}?"
    return f"give {', '.join(known)}."
