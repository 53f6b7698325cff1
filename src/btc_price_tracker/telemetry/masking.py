"""Masks the passwords, tokens and keys in a URL before it is logged or printed."""

import re

# Up to the last @, since a password that isn't percent-encoded may hold anything. A path, as SQLite's, has no user.
# The second alternative, no scheme, matches only where there is none: Python 3.11.2 gets a possessive `?+` wrong.
_USER = re.compile(r"^([^/]*://|(?![^/]*://))(?!/).+@", re.DOTALL)
_FIELD = re.compile(r"([?&][^=&]*(?:pass|pwd|token|secret|key|properties)[^=&]*=)[^&]*", re.IGNORECASE)


def masked(url: str) -> str:
    """Replace the user information, and the query parameters that hold secrets, by ***."""
    return _FIELD.sub(r"\1***", _USER.sub(r"\1***@", url))
