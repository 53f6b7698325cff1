"""Errors of pydantic's validation as sentences for an operator or a client; in place of pydantic's own."""

from collections.abc import Mapping
from typing import Any

SHOWN = 80  # characters of a value

_REMEDIES = {
    "bool_parsing": "give 1 or 0",
    "float_parsing": "give a number",
    "finite_number": "give a number",
    "greater_than_equal": "give {ge} or more",
    "int_from_float": "give a whole number",
    "int_parsing": "give a whole number",
    "int_parsing_size": "give a smaller number",
    "less_than_equal": "give {le} or less",
    "literal_error": "give {expected}",
    "missing": "it is missing",
}


def remedy(error: Mapping[str, Any]) -> str:
    """What to give instead, for one of the errors of a ValidationError. Our own validators' messages are remedies."""
    if error["type"] not in _REMEDIES:
        return str(error["msg"]).removeprefix("Value error, ")
    bounds = {name: _without_fraction(value) for name, value in error.get("ctx", {}).items()}
    return _REMEDIES[error["type"]].format(**bounds)


def describe_error(error: Mapping[str, Any]) -> str:
    """The remedy and the invalid value, if there is one."""
    if error["type"] == "missing" or error["input"] is None:
        return remedy(error)
    return f"{remedy(error)}, not {_shortened(repr(error['input']))}"


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _without_fraction(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
