from btc_price_tracker.fanout.ring import Ring


def test_ring_starts_with_restored_frames() -> None:
    ring = Ring(2, 5, [(10, b"a"), (20, b"b")])
    assert (ring.first, ring.last, ring.floor) == (10, 20, 5)
    assert ring.page(0, 100, 10) == (20, b"ab")
    ring.append(30, b"c")
    assert ring.page(0, 100, 10) == (30, b"bc")
