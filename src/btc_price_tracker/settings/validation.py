"""What is wrong with what a user gave, in plain words instead of pydantic's or the system's. Pure."""

from collections.abc import Mapping
from typing import Any

SHOWN = 80  # characters of a value

_WORDS = {
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


def remedy(fault: Mapping[str, Any]) -> str:
    """What to give instead, for one of the errors of a ValidationError; the words of our own validators as they are."""
    if fault["type"] not in _WORDS:
        return str(fault["msg"]).removeprefix("Value error, ")
    bounds = {name: _plain(value) for name, value in fault.get("ctx", {}).items()}
    return _WORDS[fault["type"]].format(**bounds)


def complaint(fault: Mapping[str, Any]) -> str:
    """The remedy and, where there is one, the value that was given."""
    if fault["type"] == "missing":
        return remedy(fault)
    return f"{remedy(fault)}, not {_shortened(repr(fault['input']))}"


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
