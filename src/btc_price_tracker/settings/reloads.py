"""What is read again while the server runs: on SIGHUP, and soon after its files change."""

from collections.abc import Callable, Iterable
from pathlib import Path

from btc_price_tracker.clock import Clock
from btc_price_tracker.settings.changes import Changes

INTERVAL = 0.25  # seconds between looks at the files


class Reloads:
    """Functions that read files again. Each reports its own errors and never raises."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reloads: list[tuple[Changes, Callable[[], None]]] = []

    def __bool__(self) -> bool:
        """Whether there is anything to read again."""
        return bool(self._reloads)

    def add(self, paths: Iterable[Path], reload: Callable[[], None]) -> None:
        """Call `reload` whenever a file changes that is read after this."""
        self._reloads.append((Changes(paths), reload))

    def all(self) -> None:
        """Read everything again."""
        for _, reload in self._reloads:
            reload()

    async def watch(self) -> None:
        """Look at the files for as long as the service runs."""
        while self._reloads:
            await self._clock.sleep(INTERVAL)
            for changes, reload in self._reloads:
                if changes.any():
                    reload()
