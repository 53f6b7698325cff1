"""Pauses of the garbage collector are measured by generation."""

import gc

from btc_price_tracker.telemetry.gc_pauses import GcPauses


def test_each_collection_is_measured_until_the_end() -> None:
    times = iter(range(1_000_000))
    pauses = GcPauses(lambda: float(next(times)))
    with pauses.measured():
        gc.collect()
        oldest = pauses.by_generation[-1]
        assert sum(oldest.counts) == 1
        assert oldest.total == 1.0
    gc.collect()
    assert sum(oldest.counts) == 1
