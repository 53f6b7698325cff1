"""Text from elsewhere, made safe: printable ASCII on one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.errors import Banned, InvalidQuote, SourceError, SourceRefused
from btc_price_tracker.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('HTTP 429: it\'s "too often" \\o/', 'HTTP 429: it\'s "too often" \\o/'),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),  # clears a terminal
        ("a\r\nb\tc\x00\x7f", "a\\x0d\\x0ab\\x09c\\x00\\x7f"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),  # controls of ISO 6429 in one byte
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),  # what follows is reversed
        ("\u2028\u2029\ufeff\u200b", "\\u2028\\u2029\\ufeff\\u200b"),
        ("\u05d0\u0301\u20ac", "\\u05d0\\u0301\\u20ac"),  # letters, too, reorder and cover their neighbours
        ("\ud800\U0001f600", "\\ud800\\U0001f600"),
    ],
)
def test_all_but_printable_ascii_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text() | st.characters().map(str))
def test_any_text_is_made_printable_once(text: str) -> None:
    shown = printable(text)
    assert shown.isascii()
    assert shown.isprintable()
    assert printable(shown) == shown


@pytest.mark.parametrize("kind", [SourceError, InvalidQuote, SourceRefused, Banned])
def test_every_source_error_is_printable_and_short(kind: type[SourceError]) -> None:
    text = str(kind("\x1b[2J\u202e" + "\u2028" * 10_000))
    assert text.isascii()
    assert text.isprintable()
    assert len(text) == SourceError.MAX_LENGTH
