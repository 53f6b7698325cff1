"""The address of the client behind trusted proxies."""

from collections.abc import Iterable, Iterator

from btc_price_tracker.web.address.forwarded import UNKNOWN, forwarded, x_forwarded_for
from btc_price_tracker.web.address.trusted import Trusted

Fields = Iterable[tuple[bytes, bytes]]
Client = tuple[str, int]  # address, and port: 0 where it isn't known

_READERS = {b"forwarded": forwarded, b"x-forwarded-for": x_forwarded_for}


def client_of(peer: Client, fields: Fields, trusted: Trusted) -> Client:
    """The client of a request whose `peer` is a trusted proxy: the last address in its fields that isn't trusted.

    Where all are trusted, the first. It is in `Forwarded` or else in `X-Forwarded-For`. Where both are present and
    disagree, neither counts: a proxy that appends to one of them passes on the other as the client has written it.
    """
    lines: dict[bytes, list[str]] = {}
    for name, value in fields:
        if name in _READERS:
            lines.setdefault(name, []).append(value.decode("latin-1"))
    if not lines:
        return peer
    found = {_furthest(peer[0], _READERS[name](",".join(each)), trusted) for name, each in lines.items()}
    host = found.pop()
    return peer if found or host == peer[0] else (host, 0)


def _furthest(peer: str, nodes: Iterator[str], trusted: Trusted) -> str:
    """The last node that isn't trusted; where one has no valid name, the proxy that says so."""
    host = peer
    for node in nodes:
        if node == UNKNOWN:
            break
        host = node
        if host not in trusted:
            break
    return host
