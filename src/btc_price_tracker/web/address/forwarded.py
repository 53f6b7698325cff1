"""The nodes that proxies name in `Forwarded` (RFC 7239) and `X-Forwarded-For`, last one first.

Anyone can begin such a list, and each proxy appends to it: only its end can be trusted, so it is read from there. What
precedes is never parsed, however it tries to spoil the rest, say by a quote that it doesn't close.
"""

import re
from collections.abc import Iterator

from btc_price_tracker.web.address.groups import packed

UNKNOWN = ""  # a node that has no name, or an invalid one
MAX_HOPS = 32

# Nothing here can match in two ways, so that no field takes longer than its length.
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_VALUE = r'(?:[]:[!#$%&\'*+.^_`|~0-9A-Za-z-]++|"(?:[^"\\]|\\.)*+")'  # with ":" and brackets, which some don't quote
_PAIR = rf"{_WORD}={_VALUE}"
_LAST = re.compile(rf"(?:(.*),)?[ \t]*+({_PAIR}(?:[ \t]*+;(?:[ \t]*+{_PAIR})?+)*+)[ \t]*+", re.DOTALL)
_FOR = re.compile(rf"(?:^|;)[ \t]*+for=({_VALUE})", re.IGNORECASE)
_NODE = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[\w.-]+)?|([0-9.]+)(?::[\w.-]+)?|([0-9A-Fa-f:.]+)")
_OBFUSCATED = re.compile(r"(_[\w.-]{1,64})(?::[\w.-]+)?", re.ASCII)


def forwarded(value: str) -> Iterator[str]:
    """The nodes of a Forwarded field, whose lines are joined by commas; the first invalid element ends them."""
    rest: str | None = value
    for _ in range(MAX_HOPS):
        match = _LAST.fullmatch(rest) if rest is not None else None
        if match is None:
            if rest is not None:
                yield UNKNOWN
            return
        rest, element = match.groups()
        named = _FOR.search(element)
        yield node(_unquoted(named[1])) if named else UNKNOWN


def x_forwarded_for(value: str) -> Iterator[str]:
    """The nodes of an X-Forwarded-For field, whose lines are joined by commas."""
    for text in reversed(value.rsplit(",", MAX_HOPS)[-MAX_HOPS:]):
        yield node(text.strip(" \t"))


def node(text: str) -> str:
    """The address of a node without its port, or its obfuscated identifier (RFC 7239, 6); else UNKNOWN."""
    if match := _NODE.fullmatch(text):
        address: str = match[1] or match[2] or match[3]
        return address if packed(address) is not None else UNKNOWN
    match = _OBFUSCATED.fullmatch(text)
    return match[1] if match else UNKNOWN


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
