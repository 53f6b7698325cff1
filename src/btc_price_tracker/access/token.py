"""Named access tokens, as TOKENS_FILE keeps them: the hash of each, never the token.

A token is 256 random bits. Nobody can search those, however fast the hash is; a slow hash, as passwords need, would
only make each request slow, and let anybody keep the server busy with invalid tokens.
"""

import hashlib
import re
import secrets
from typing import Annotated

from msgspec import Meta, Struct

from btc_price_tracker.access.scopes import Scope

PREFIX = "bpt_"  # so that scanners for leaked secrets, and people, recognise one
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


class Token(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of the file."""

    name: Annotated[str, Meta(pattern=f"^{NAME}$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: tuple[Scope, ...]
    max_streams: Annotated[int, Meta(ge=0)] = 0  # open at once; 0: no limit of its own
    created: Annotated[int, Meta(ge=0, le=253_402_300_799)]  # seconds since the epoch, up to the year 9999

    @property
    def digest(self) -> bytes:
        """What `digest_of` returns for the token."""
        return bytes.fromhex(self.sha256)


def generate() -> str:
    """A new token: printable, without characters that a URL or a shell would need to escape."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> bytes:
    """The hash by which a token is looked up.

    That takes as long for a good guess as for a bad one: a caller knows no guess whose hash is nearer to one of ours.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def check_name(name: str) -> str:
    """Return the name of a token if it is one. Raises ValueError with the remedy."""
    if not re.fullmatch(NAME, name):
        raise ValueError(
            "give up to 64 letters, digits, dots, hyphens and underscores, the first a letter or digit"
        )
    return name
