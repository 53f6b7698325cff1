"""Whole numbers in URLs: digits and nothing else, on every route."""

import re

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_DIGITS = re.compile(r"[0-9]+", re.ASCII)


def _digits(text: str) -> str:
    if not _DIGITS.fullmatch(text):
        raise PydanticCustomError("digits", "Input should be a whole number, in digits only")
    return text


DIGITS = BeforeValidator(
    _digits
)  # last in an Annotated[int, …]: pydantic's int is `1_000`, `5.0` and ` 5` as well
