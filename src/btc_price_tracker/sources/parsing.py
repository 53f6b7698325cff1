"""The strict reading of an answer's body: bounded, and never an exception other than a SourceError.

Every source's `parse` is written in these words: `read` the body, walk its parts, raise a `refusal` where the
source says no, and make a `quote` (in quoting.py) of the rest. Numbers stay the text that the source sent.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from btc_price_tracker.errors import InvalidQuote, RateLimited, SourceRefused

MAX_BYTES = 524_288  # the largest honest body, from blockchain.info, is 3 KiB; this much takes 0.1 s to read

_TOO_OFTEN = re.compile(r"rate.?limit|too (?:many|much) request|lockout|throttl", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class JsonNode:
    """A part of a JSON body and its place there, so that a fault can name it."""

    value: Any  # what JSON has, but for numbers: those are str, their own text
    place: str = ""

    def __getitem__(self, key: str | int) -> "JsonNode":
        """Return the field of an object or the item of an array.

        What isn't there reads as null, and so does everything inside it.
        Raises InvalidQuote where this part is something else than an object or an array.
        """
        place = f"{self.place}.{key}" if self.place else str(key)
        if self.absent:
            return JsonNode(None, place)
        if isinstance(key, str):
            return JsonNode(self.fields().get(key), place)
        items = self.items()
        return JsonNode(items[key] if key < len(items) else None, place)

    def __str__(self) -> str:
        """Name the part and what stands there, in few characters whatever it is."""
        return f"{self.place or 'the body'} is {_shown(self.value)}"

    @property
    def absent(self) -> bool:
        """True where the part is missing or null."""
        return self.value is None

    def fields(self) -> dict[str, Any]:
        """Return the fields of an object. Raises InvalidQuote where this is none."""
        if not isinstance(self.value, dict):
            raise InvalidQuote(f"{self}, not an object")
        return self.value

    def items(self) -> list[Any]:
        """Return the items of an array. Raises InvalidQuote where this is none."""
        if not isinstance(self.value, list):
            raise InvalidQuote(f"{self}, not an array")
        return self.value

    def text(self, pattern: re.Pattern[str], expected: str) -> str:
        """Return the text of a string or number. Raises InvalidQuote unless the pattern matches it whole."""
        if not isinstance(self.value, str) or not pattern.fullmatch(self.value):
            raise InvalidQuote(f"{self}, not {expected}")
        return self.value

    def must_be(self, expected: str) -> None:
        """Raise InvalidQuote unless this is the text expected: the pair that we asked for, say."""
        if self.value != expected:
            raise InvalidQuote(f"{self}, not {expected!r}")


def read(body: bytes) -> JsonNode:
    """Read a body as strict JSON: UTF-8 without a mark, no repeated fields, no NaN, no Infinity.

    Raises InvalidQuote where it is anything else, nested too deep, or larger than MAX_BYTES.
    """
    if len(body) > MAX_BYTES:
        raise InvalidQuote(f"the body is larger than {MAX_BYTES} bytes")
    try:
        return JsonNode(_JSON.decode(body.decode()))
    except ValueError as error:
        raise InvalidQuote("the body is HTML" if _is_html(body) else "the body is not JSON") from error
    except RecursionError as error:
        raise InvalidQuote("the body is nested too deep") from error


def refusal(*said: JsonNode, throttled: bool = False) -> SourceRefused:
    """Make the fault for an answer in which the source says no, out of the parts that say so.

    It is RateLimited where the caller knows the source's code for that, or where the words tell.
    """
    words = ", ".join(_shown(word).strip("\"'") for part in said for word in _words(part.value))
    fault = RateLimited if throttled or _TOO_OFTEN.search(words) else SourceRefused
    return fault(f"the source says no: {words}" if words else "the source says no")


def _words(said: object, depth: int = 2) -> list[object]:
    """What it says, or the first things inside it; nothing where it is blank."""
    inside = list(said.values()) if isinstance(said, dict) else said if isinstance(said, list) else []
    if inside and depth:
        return [word for each in inside[:3] for word in _words(each, depth - 1)][:3]
    return [] if said in (None, "") else [said]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidQuote("the body names a field twice")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidQuote(f"the body holds {name}, which is no number")


_JSON = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=_refuse_constant, object_pairs_hook=_unique
)


def _is_html(body: bytes) -> bool:
    return body.lstrip().startswith(b"<")


def _shown(value: object) -> str:
    """Show a value in few harmless characters: the source chose it, and logs and pages print it."""
    match value:
        case None:
            return "missing"
        case dict():
            return "an object"
        case list():
            return "an array"
        case str():
            return ascii(value[:80])[:80]
    return str(value).lower()
