"""Parsing of `Accept` and `Accept-Encoding` (RFC 9110, 12.5): their items with parameters and quality.

Never raises: these headers are preferences, and a malformed item is ignored.
"""

import re
from typing import NamedTuple

_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class Item(NamedTuple):
    """One item of such a header; names are in lower case."""

    value: str
    parameters: dict[str, str]
    quality: float  # 0: not acceptable


def accepted(header: str) -> list[Item]:
    """The items of a header in their order; an item with a malformed quality is not acceptable."""
    return [_item(text) for text in header.split(",")]


def accepts_gzip(header: str) -> bool:
    """Whether an `Accept-Encoding` allows gzip, by name or by `*`; an empty one does not."""
    qualities = {item.value: item.quality for item in accepted(header)}
    return qualities.get("gzip", qualities.get("*", 0)) > 0


def _item(text: str) -> Item:
    value, *rest = text.split(";")
    pairs = (each.partition("=") for each in rest)
    parameters = {name.strip().lower(): _unquoted(content.strip()) for name, _, content in pairs}
    quality = parameters.pop("q", "1")
    return Item(value.strip().lower(), parameters, float(quality) if _QUALITY.fullmatch(quality) else 0.0)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
