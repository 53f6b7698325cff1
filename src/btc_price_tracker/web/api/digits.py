"""Whole numbers in URLs: digits and nothing else, on every route."""

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


def _digits(text: str) -> str:
    if not (text.isascii() and text.isdigit()):
        raise PydanticCustomError("digits", "give a whole number, in digits only")
    return text


# Last in an Annotated[int, …]: pydantic's int may be `1_000`, `5.0` or ` 5` as well.
DIGITS = BeforeValidator(_digits)
