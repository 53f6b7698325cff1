"""The connections of each address, counted before a request is parsed: what one may hold is bounded."""

from enum import StrEnum

import structlog

from btc_price_tracker.web.address.groups import Group, group_of
from btc_price_tracker.web.address.trusted import Trusted
from btc_price_tracker.web.refusals import IF_PROXY, Refusals

log = structlog.get_logger(__name__)


class Reason(StrEnum):
    """Why a connection is closed at once."""

    UNFINISHED = "unfinished"  # its address has too many that have not sent the head of a request
    CONNECTIONS = "connections"  # its address has too many
    PREFACE = "preface"  # what a trusted proxy sent is no valid PROXY protocol


class Peers:
    """Whom connections may come from: the trusted proxies, and what was refused."""

    def __init__(self, trusted: Trusted) -> None:
        self.trusted = trusted
        self.refused = Refusals(Reason)  # connections


class Sockets:
    """Counts connections by address. It has entries only for addresses that have some."""

    def __init__(self, peers: Peers, max_unfinished: int, most: int) -> None:
        """Of one address, at most `most` connections, of which `max_unfinished` without a complete head."""
        self.peers = peers
        self._max_unfinished = max_unfinished
        self._most = max(most, max_unfinished)
        self._open: dict[Group, int] = {}
        self._unfinished: dict[Group, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, host: str) -> "Place | None":
        """A place for a connection of this address; None if it has too many."""
        group = group_of(host)
        if self._unfinished.get(group, 0) >= self._max_unfinished:
            self.refuse(Reason.UNFINISHED)
            return None
        if self._open.get(group, 0) >= self._most:
            self.refuse(Reason.CONNECTIONS)
            return None
        _add(self._open, group)
        _add(self._unfinished, group)
        return Place(self._open, self._unfinished, group)

    def refuse(self, reason: Reason) -> None:
        """Count a connection that is closed at once."""
        if refused := self.peers.refused.note(reason):
            log.warning(
                "connections refused",
                reason=str(reason),
                refused=refused,
                addresses=len(self._open),
                remedy=None if reason is Reason.PREFACE else IF_PROXY,
            )


class Place:
    """What one connection counts as."""

    __slots__ = ("_group", "_open", "_unfinished")

    def __init__(self, open_: dict[Group, int], unfinished: dict[Group, int], group: Group) -> None:
        self._open: dict[Group, int] | None = open_
        self._unfinished: dict[Group, int] | None = unfinished
        self._group = group

    def finish_head(self) -> None:
        """Count as a connection that has sent a complete head. Idempotent."""
        if self._unfinished is not None:
            _subtract(self._unfinished, self._group)
            self._unfinished = None

    def leave(self) -> None:
        """Count no longer: as a stream, which has limits of its own, or because it is closed. Idempotent."""
        self.finish_head()
        if self._open is not None:
            _subtract(self._open, self._group)
            self._open = None


def _add(counts: dict[Group, int], group: Group) -> None:
    counts[group] = counts.get(group, 0) + 1


def _subtract(counts: dict[Group, int], group: Group) -> None:
    counts[group] -= 1
    if not counts[group]:
        del counts[group]
