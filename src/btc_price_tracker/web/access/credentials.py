"""The token that a request carries: in `Authorization: Bearer …` or, since an EventSource sends no headers, its query.

The one in the query is removed before anything else sees the query, so that no error, link or trace repeats it.
"""

from urllib.parse import unquote_plus

from starlette.types import Scope

PARAMETER = "access_token"  # RFC 6750, 2.3


def take_token(scope: Scope) -> str | None:
    """Return the token of a request, None if it has none, and remove it from the query. The header's has precedence."""
    from_query = _take_from_query(scope)
    from_header = _bearer(scope)
    return from_query if from_header is None else from_header


def _bearer(scope: Scope) -> str | None:
    """The token in the header; None for another scheme, which may be a proxy's."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() == "bearer":
                return token.strip() or None
    return None


def _take_from_query(scope: Scope) -> str | None:
    query: bytes = scope["query_string"]
    if not query:
        return None
    others, tokens = [], []
    for field in query.split(b"&"):
        name, _, value = field.decode("latin-1").partition("=")
        if unquote_plus(name) == PARAMETER:
            tokens.append(unquote_plus(value))
        else:
            others.append(field)
    scope["query_string"] = b"&".join(others)
    return tokens[0] if tokens else None
