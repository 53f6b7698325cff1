"""Checks of the parameters in a URL: unknown names are rejected, and integers consist of digits only."""

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from btc_price_tracker.web.problems import Problem

SHOWN = 40  # characters of an unknown name in the error


def _check_digits(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise PydanticCustomError("digits", "give a whole number, in digits only")
    return text


# Last in an Annotated[int, …]: pydantic's int accepts `1_000`, `5.0` and ` 5` as well.
DIGITS = BeforeValidator(_check_digits)


def check_known(given: Iterable[str], known: Collection[str]) -> None:
    """Raise Problem (400) for the first parameter that a route doesn't know, with the most similar known one."""
    for name in given:
        if name not in known:
            raise Problem(400, f"Unknown parameter {name[:SHOWN]!r}: {_advice(name[:SHOWN], known)}")


def _advice(name: str, known: Collection[str]) -> str:
    if not known:
        return "none is supported."
    if near := get_close_matches(name.lower(), known, n=1):
        return f"did you mean {near[0]!r}?"
    return f"supported are {', '.join(known)}."
