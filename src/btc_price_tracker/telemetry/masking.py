"""A URL as it may be printed: without the passwords, tokens and keys in it."""

import re

# Up to the last @, since a password that isn't percent-encoded may hold anything. A path, as SQLite's, has no user.
# The second alternative, no scheme, matches only where there is none: Python 3.11.2 gets a possessive `?+` wrong.
_USER = re.compile(r"^([^/]*://|(?![^/]*://))(?!/).+@", re.DOTALL)
_FIELD = re.compile(r"([?&][^=&]*(?:pass|pwd|token|secret|key|properties)[^=&]*=)[^&]*", re.IGNORECASE)


def masked(url: str) -> str:
    """Put *** for the user and password, and for the fields of the query that hold secrets."""
    return _FIELD.sub(r"\1***", _USER.sub(r"\1***@", url))
