"""Rows as JSON or CSV, encoded page by page."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from btc_price_tracker.web.api.reply import encoder
from btc_price_tracker.web.api.views import PriceView


class Form(NamedTuple):
    """How rows are encoded."""

    media_type: str
    opening: bytes
    rows: Callable[[Sequence[Struct]], bytes]
    between: bytes  # between two pages
    closing: bytes


class Page(NamedTuple):
    """Encoded rows, and the position of the next page, None for the last."""

    rows: bytes
    following: int | None


Read = Callable[[int], Awaitable[Page]]  # reads the page at a position


class Pages:
    """A body in a form, one page at a time; keeps no page that it has returned."""

    def __init__(self, form: Form, first: Page, read: Read) -> None:
        self._form = form
        self._piece = form.opening + first.rows
        self._following = first.following
        self._read = read

    async def take(self) -> bytes:
        """Return the next bytes, empty at the end. Raises what reading a page raises."""
        if self._piece:
            piece, self._piece = self._piece, b""
            return piece
        if self._following is None:
            return b""
        page = await self._read(self._following)
        self._following = page.following
        between = self._form.between if page.rows else b""
        return between + page.rows + (self._form.closing if page.following is None else b"")


def _json(rows: Sequence[Struct]) -> bytes:
    return encoder.encode(rows)[1:-1]


def _csv(rows: Sequence[Struct]) -> bytes:
    """Encode as of RFC 4180; no value here needs quotes."""
    return "".join(f"{','.join(map(_cell, structs.astuple(row)))}\r\n" for row in rows).encode()


def _cell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


FORMS = {
    "json": Form("application/json", b"[", _json, b",", b"]"),
    "csv": Form("text/csv", f"{','.join(PriceView.__struct_fields__)}\r\n".encode(), _csv, b"", b""),
}
