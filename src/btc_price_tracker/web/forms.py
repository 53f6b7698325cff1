"""Rows as JSON or as CSV: the beginning, any number of pages, the end."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from msgspec import Struct, structs

from btc_price_tracker.web.reply import encoder
from btc_price_tracker.web.views import PriceView


class Form(NamedTuple):
    """How rows are written."""

    media_type: str
    opening: bytes
    rows: Callable[[Sequence[Struct]], bytes]
    between: bytes  # between two pages
    closing: bytes


class Page(NamedTuple):
    """Some rows, written, and the position of the page that follows; None where none does."""

    rows: bytes
    following: int | None


Read = Callable[[int], Awaitable[Page]]  # the page at a position


class Pages:
    """An answer in a form, a page at a time. Of what was taken nothing is kept."""

    def __init__(self, form: Form, first: Page, read: Read) -> None:
        self._form = form
        self._piece = form.opening + first.rows
        self._following = first.following
        self._read = read

    async def take(self) -> bytes:
        """The next bytes; none at the end. Raises what reading them does."""
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
    """RFC 4180. No value of ours needs quotes."""
    return "".join(f"{','.join(map(str, structs.astuple(row)))}\r\n" for row in rows).encode()


FORMS = {
    "json": Form("application/json", b"[", _json, b",", b"]"),
    "csv": Form("text/csv", f"{','.join(PriceView.__struct_fields__)}\r\n".encode(), _csv, b"", b""),
}
