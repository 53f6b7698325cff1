"""What caches may keep, and for how long: every response that may be kept gets its `Cache-Control` from here."""

from fastapi import Request
from starlette.datastructures import MutableHeaders

SHARED = "public"  # who may keep what doesn't change, unless `make_private` restricts that
YEAR = 31_536_000  # seconds


def kept_for(seconds: int, *, immutable: bool = False) -> str:
    """The `Cache-Control` of a response that is right for so long; `immutable`: not to be revalidated meanwhile."""
    return f"{SHARED}, max-age={seconds}{', immutable' if immutable else ''}"


def for_ever() -> str:
    """The `Cache-Control` of a response that never changes."""
    return kept_for(YEAR, immutable=True)


def make_private(headers: MutableHeaders) -> None:
    """Restrict a response to the cache of the client that sent the token, and to requests with that token."""
    kept = headers.get("cache-control", "no-store")
    if "no-store" not in kept:
        headers["cache-control"] = ", ".join(
            ["private", *(kept.removeprefix(SHARED).strip(", ").split(", "))]
        )
    headers.add_vary_header("Authorization")


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names this ETag, `W/` or not (RFC 9110, 13.1.2); `tag` is in quotes, without `W/`."""
    given = [each.strip() for each in ",".join(request.headers.getlist("if-none-match")).split(",")]
    return "*" in given or any(each.removeprefix("W/") == tag for each in given)
