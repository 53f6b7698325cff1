"""Remove what we send to a source, such as its API key, from what is shown or logged about it."""

from base64 import b64encode
from collections.abc import Iterable, Iterator

from yarl import URL

FRAGMENT = 6  # consecutive characters of a secret that reveal too much: a message may be truncated within it
HIDDEN = "***"


class Secrets:
    """Secrets that a text may repeat: as they are, truncated, in another case, or with characters escaped."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._fragments = frozenset(part for secret in secrets for part in _fragments(secret.lower()))

    def hide(self, text: str) -> str:
        """Replace every part of the text that repeats a secret, or a fragment of one, by ***."""
        searched = text.lower() if text.isascii() else text  # of the same length
        found = [range(at, at + len(part)) for part in self._fragments for at in _positions(part, searched)]
        secret = {at for each in found for at in each}
        return "".join(
            HIDDEN if at in secret else sign
            for at, sign in enumerate(text)
            if at not in secret or at - 1 not in secret
        )


NO_SECRETS = Secrets()


def secrets_of(url: str, key: str) -> Secrets:
    """Return the API key, and the password that a base URL may have, also as it is sent (RFC 7617)."""
    user, password = URL(url).user or "", URL(url).password or ""
    credentials = [password, b64encode(f"{user}:{password}".encode()).decode()] if password else []
    return Secrets(filter(None, [key, *credentials]))


def _fragments(secret: str) -> Iterator[str]:
    size = min(FRAGMENT, len(secret))
    return (secret[at : at + size] for at in range(len(secret) - size + 1))


def _positions(part: str, text: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)
