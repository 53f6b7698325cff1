"""Strict parsing of a response body: bounded, and no exception other than a SourceError.

Every source's `parse` is written with these functions: `read` the body, select its nodes, raise a `refusal` if the
source returned an error, else make a `quote` (in quoting.py). Numbers stay the text that the source sent.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from btc_price_tracker.errors import InvalidQuote, RateLimited, SourceRefused

MAX_BYTES = 65_536  # the largest honest body, from blockchain.info, is 3 KiB; no body of this size takes 10 ms to read

_TOO_OFTEN = re.compile(r"rate.?limit|too (?:many|much) request|lockout|throttl", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class JsonNode:
    """A value in a JSON body, and its path, so that an error can name it."""

    value: Any  # as json decodes it, but numbers are str, their own text
    path: str = ""

    def __getitem__(self, key: str | int) -> "JsonNode":
        """Return the field of an object or the item of an array.

        A missing one reads as null, and so does everything inside it.
        Raises InvalidQuote if this node is neither an object nor an array.
        """
        path = f"{self.path}.{key}" if self.path else str(key)
        if self.absent:
            return JsonNode(None, path)
        if isinstance(key, str):
            return JsonNode(self.fields().get(key), path)
        items = self.items()
        return JsonNode(items[key] if key < len(items) else None, path)

    def __str__(self) -> str:
        """Return the path and the value, shortened."""
        return f"{self.path or 'the body'} is {_shown(self.value)}"

    @property
    def absent(self) -> bool:
        """Whether it is missing or null."""
        return self.value is None

    def fields(self) -> dict[str, Any]:
        """Return the fields of an object. Raises InvalidQuote if this is none."""
        if not isinstance(self.value, dict):
            raise InvalidQuote(f"{self}, not an object")
        return self.value

    def items(self) -> list[Any]:
        """Return the items of an array. Raises InvalidQuote if this is none."""
        if not isinstance(self.value, list):
            raise InvalidQuote(f"{self}, not an array")
        return self.value

    def text(self, pattern: re.Pattern[str], expected: str) -> str:
        """Return the text of a string or number. Raises InvalidQuote unless the pattern matches all of it."""
        if not isinstance(self.value, str) or not pattern.fullmatch(self.value):
            raise InvalidQuote(f"{self}, not {expected}")
        return self.value

    def must_be(self, expected: str) -> None:
        """Raise InvalidQuote unless this is the expected text, such as the requested pair."""
        if self.value != expected:
            raise InvalidQuote(f"{self}, not {expected!r}")


def read(body: bytes) -> JsonNode:
    """Read a body as strict JSON: UTF-8 without a byte order mark, no repeated fields, no NaN, no Infinity.

    Raises InvalidQuote if it is anything else, nested too deep, or larger than MAX_BYTES.
    """
    if len(body) > MAX_BYTES:
        raise InvalidQuote(f"the body is larger than {MAX_BYTES} bytes")
    try:
        return JsonNode(_JSON.decode(body.decode()))
    except ValueError as error:
        raise InvalidQuote("the body is HTML" if _is_html(body) else "the body is not JSON") from error
    except RecursionError as error:
        raise InvalidQuote("the body is nested too deep") from error


def refusal(*nodes: JsonNode, rate_limited: bool = False) -> SourceRefused:
    """Make the error for a body in which the source returns one, from the nodes that describe it.

    It is RateLimited if the caller recognises the source's code for that, or the text does.
    """
    text = ", ".join(_shown(value).strip("\"'") for node in nodes for value in _scalars(node.value))
    kind = RateLimited if rate_limited or _TOO_OFTEN.search(text) else SourceRefused
    return kind(f"source returned an error: {text}" if text else "source returned an error")


def _scalars(value: object, depth: int = 2) -> list[object]:
    """Return the value, or the first ones inside it; none if it is blank."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    if inside and depth:
        return [scalar for each in inside[:3] for scalar in _scalars(each, depth - 1)][:3]
    return [] if value in (None, "") else [value]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidQuote("the body has a field twice")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidQuote(f"the body has {name}, which is no JSON number")


_JSON = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=_refuse_constant, object_pairs_hook=_unique
)


def _is_html(body: bytes) -> bool:
    return body.lstrip().startswith(b"<")


def _shown(value: object) -> str:
    """Return a value as a short text, so that an error has room for what is wrong with it."""
    match value:
        case None:
            return "missing"
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return repr(value[:80])[:80]
    return str(value).lower()
