"""What all formats of exported files share: one record after the other, validated, errors with their line number."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TextIO, TypeVar

import msgspec

from btc_price_tracker.errors import RecordError
from btc_price_tracker.price.model import Tick

T = TypeVar("T")


class Pattern(NamedTuple):
    """A regular expression for the text of a field, and its description for error messages."""

    regex: str
    description: str


# Needs no quoting in CSV, and no spreadsheet takes it for a formula (which begin with = + - @ or whitespace).
METHOD = Pattern(
    r"(?:[A-Za-z0-9_][ !#-+\--~]{0,99})?",
    "method name: at most 100 ASCII characters, no comma or double quote, the first a letter, digit or _",
)


def parse_records(numbered: Iterable[tuple[int, T]], parse: Callable[[T], Tick], last: int) -> Iterator[Tick]:
    """Parse records that come with their line numbers.

    Raises RecordError on the first that is no tick or has an id above `last`.
    """
    for number, record in numbered:
        try:
            yield _in_range(parse(record), last)
        except (ValueError, msgspec.MsgspecError) as error:
            raise RecordError(str(error), number) from None


def lines_of(file: TextIO, max_length: int = 1 << 20) -> Iterator[str]:
    """Yield the lines of a file. Raises RecordError for one of more than `max_length` characters, before it is read."""
    number = 0
    while line := file.readline(max_length + 1):
        number += 1
        if len(line) > max_length:
            raise RecordError(f"the line is longer than {max_length:,} characters", number)
        yield line


def decoded(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a text file. Raises RecordError where it isn't UTF-8."""
    try:
        yield from lines
    except UnicodeDecodeError as error:
        raise RecordError(f"the file is no UTF-8 text ({error.reason})") from None


def _in_range(tick: Tick, last: int) -> Tick:
    if tick.id > last:
        raise ValueError(f"id {tick.id} is in the future; ids are milliseconds since the epoch")
    if not (tick.id > 0 and tick.price > 0):
        raise ValueError("id or price is out of range: both must be greater than 0")
    return tick
