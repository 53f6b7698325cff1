"""Patterns that meet what sources and proxies send: none takes more time than in proportion to the text."""

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from btc_price_tracker import http_client as outgoing
from btc_price_tracker import sources
from btc_price_tracker.errors import SourceError
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.endpoint import SourceResponse
from btc_price_tracker.sources.parsing import MAX_BYTES
from btc_price_tracker.sources.response import read

MIB = 1 << 20
SIZES = (1 << 16, MIB)  # what is quadratic fails at the first; the second would take it minutes
SECONDS = 1.0  # of CPU; a linear pattern takes a few hundredths for each text

# Of each pattern: pieces of text that make it look again and again, repeated alone or after one of the others.
WORST = {
    "parsing._TOO_OFTEN": ["too ", "rate", "rate ", "too many ", "lockou"],
    "headers._DIGITS": ["0"],
    "quoting._NUMBER": ["1", "1.1", "1e", "-"],
    "quoting._RFC3339": ["0", "2017-10-03T04:00:31.1"],
    "response._BANNED_UNTIL": ["banned until ", "banned until 1", "1"],
    "response._CLOUDFLARE_BAN": [
        "error",
        "error: ",
        " ",
        "error <span ",
        "error<span>",
        "error </span>: <span",
    ],
    "response._DATE_OR_NUMBER": ["Mon", "Mon,", "a", ",", "Mon, 24 Nov", "Monday"],
    "response._SECONDS": ["1", "1."],
}


def modules() -> Iterator[ModuleType]:
    for package in (sources, outgoing):
        yield package
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(module.name)


def patterns() -> dict[str, re.Pattern[Any]]:
    """Every pattern of the packages, by the name of its module and its own."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in modules()
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


def uses_of_re(tree: ast.AST) -> list[ast.Call]:
    """The calls of functions of the module `re`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "re"
    ]


def test_every_pattern_is_a_constant_that_is_tried_here() -> None:
    for module in modules():
        tree = ast.parse(Path(str(module.__file__)).read_text())
        constants = [node.value for node in tree.body if isinstance(node, ast.Assign)]
        assert all(call in constants for call in uses_of_re(tree)), module.__name__
    assert patterns().keys() == WORST.keys()


@pytest.mark.parametrize(("name", "piece"), [(name, piece) for name in WORST for piece in WORST[name]])
def test_a_pattern_takes_time_in_proportion_to_the_text(name: str, piece: str) -> None:
    pattern = patterns()[name]
    for size, before in product(SIZES, ["", *WORST[name]]):
        text = before + piece * (size // len(piece))
        assert seconds_for(pattern, text if isinstance(pattern.pattern, str) else text.encode()) < SECONDS


def seconds_for(pattern: re.Pattern[Any], text: str | bytes) -> float:
    """The CPU time that the pattern takes in all the ways in which it may be used."""
    started = time.thread_time()
    for use in (pattern.findall, pattern.fullmatch):
        use(text)
    return time.thread_time() - started


@pytest.mark.parametrize("status", [200, 403, 503])
@pytest.mark.parametrize("piece", sorted({piece for pieces in WORST.values() for piece in pieces}))
def test_a_reply_of_such_pieces_is_a_fault_at_once(status: int, piece: str) -> None:
    header = piece * (65_536 // len(piece))
    body = (piece * (MAX_BYTES // len(piece))).encode()
    fields = ("retry-after", "date", "age", "content-encoding")
    started = time.thread_time()
    with pytest.raises(SourceError):
        read(
            SourceResponse(status, dict.fromkeys(fields, header), body),
            SOURCES["kraken"].parse,
            1_764_000_000_000,
        )
    assert time.thread_time() - started < SECONDS
