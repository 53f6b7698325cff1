"""The tokens that are valid now: those of ACCESS_TOKENS and METRICS_TOKEN, and those of TOKENS_FILE, read again."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from btc_price_tracker.access import token_file
from btc_price_tracker.access.grants import Grant
from btc_price_tracker.access.scopes import ALL, USUAL, Scope
from btc_price_tracker.access.token import Token, digest_of
from btc_price_tracker.errors import TokensError

log = structlog.get_logger(__name__)


class Access:
    """Knows the tokens by their hash. Without any token configured, everything is open."""

    def __init__(
        self, tokens: Iterable[str] = (), metrics_token: str | None = None, path: Path | None = None
    ) -> None:
        """`tokens` open all but the metrics, `metrics_token` those alone; call `load` for those in the file `path`."""
        self.path = path
        self.changed = asyncio.Event()  # set whenever the file was read
        self.everyone = Grant(scopes=ALL)  # where no token is required
        plain, metrics = Grant(scopes=USUAL), Grant(scopes=frozenset({Scope.METRICS}))
        self._unnamed = {digest_of(each): plain for each in tokens}
        self._is_open = path is None and not self._unnamed
        self._are_metrics_open = path is None and metrics_token is None
        if metrics_token is not None:
            digest = digest_of(metrics_token)
            self._unnamed[digest] = Grant(scopes=ALL) if digest in self._unnamed else metrics
        self._named: dict[bytes, Grant] = {}
        self._removed: list[Grant] = []  # some of their requests may still be waiting

    def requires_token(self, scopes: frozenset[Scope]) -> bool:
        """Whether what these scopes open is for bearers of tokens only."""
        return not (self._are_metrics_open if Scope.METRICS in scopes else self._is_open)

    def find(self, token: str) -> Grant | None:
        """What a token allows; None if it is not valid."""
        digest = digest_of(token)
        return self._unnamed.get(digest) or self._named.get(digest)

    def load(self) -> None:
        """Read the file, if there is one. Raises TokensError, and changes nothing then."""
        if self.path is not None:
            self._apply(token_file.read(self.path))

    def reload(self) -> None:
        """Read the file again; if that fails, the tokens stay as they are."""
        try:
            self.load()
        except TokensError as error:
            log.error("tokens not reloaded", reason=str(error))
        else:
            log.info("tokens reloaded", tokens=len(self._named))

    def _apply(self, tokens: Iterable[Token]) -> None:
        named = {}
        for token in tokens:
            grant = named[token.digest] = self._named.get(token.digest) or Grant()
            grant.name, grant.scopes, grant.max_streams = (
                token.name,
                frozenset(token.scopes),
                token.max_streams,
            )
        for digest in self._named.keys() - named.keys():
            self._named[digest].revoke()
            self._removed.append(self._named[digest])
        self._named = named
        self.changed.set()

    def interrupt(self) -> int:
        """Cancel the requests that wait for what they may not have any more; returns their number."""
        tasks = [
            task
            for grant in (*self._grants(), *self._removed)
            for task, scopes in grant.waiting.items()
            if not scopes & grant.scopes
        ]
        self._removed.clear()
        for task in tasks:
            task.cancel()
        return len(tasks)

    def streams(self) -> Mapping[tuple[str, ...], int]:
        """The open streams by the name of their token."""
        return _sums((grant.name, grant.streams) for grant in self._grants())

    def requests(self) -> Mapping[tuple[str, ...], int]:
        """The requests by the name of their token."""
        return _sums((grant.name, grant.requests) for grant in self._grants())

    def _grants(self) -> list[Grant]:
        return [self.everyone, *set(self._unnamed.values()), *self._named.values()]


def _sums(values: Iterable[tuple[str, int]]) -> Mapping[tuple[str, ...], int]:
    """The sum of the values of each name."""
    sums: Counter[tuple[str, ...]] = Counter()
    for name, value in values:
        sums[(name,)] += value
    return sums
