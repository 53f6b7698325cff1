"""Measures the pauses of the garbage collector."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from btc_price_tracker.meters import PAUSES, Distribution


class GcPauses:
    """The duration of each collection, by generation."""

    def __init__(self, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self.by_generation = tuple(Distribution(PAUSES) for _ in gc.get_count())
        self._monotonic = monotonic
        self._began = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure for as long as the block runs."""
        gc.callbacks.append(self._on_collection)
        try:
            yield
        finally:
            with suppress(ValueError):
                gc.callbacks.remove(self._on_collection)

    def _on_collection(self, phase: str, info: Mapping[str, int]) -> None:
        if phase == "start":
            self._began = self._monotonic()
        else:
            self.by_generation[info["generation"]].observe(self._monotonic() - self._began)
