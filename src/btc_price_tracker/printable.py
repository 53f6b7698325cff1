"""Text from elsewhere, made safe for terminals, logs and pages."""

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F)}


def printable(text: str) -> str:
    r"""Return the text in printable ASCII, on one line, the rest escaped as in Python: `\x1b`, `\u202e`.

    So it can't move a cursor, forge a line of a log, or reorder what is around it. A text that was made so before stays
    the same.
    """
    return text.translate(_ESCAPES).encode("ascii", "backslashreplace").decode()
