import pytest
from hypothesis import given
from hypothesis import strategies as st

from btc_price_tracker.fanout.ring import Ring


def frame(tick_id: int) -> bytes:
    return b"<%d>" % tick_id


def filled(size: int, ids: list[int]) -> Ring:
    ring = Ring(size)
    for tick_id in ids:
        ring.append(tick_id, frame(tick_id))
    return ring


def test_an_empty_ring_has_no_first_no_last_and_no_page() -> None:
    ring = Ring(3)
    assert (ring.first, ring.last, ring.floor) == (0, 0, 0)
    assert ring.page(0, 100, 10) == (0, b"")


def test_it_holds_the_newest_and_says_above_which_id_nothing_is_missing() -> None:
    ring = filled(3, [10, 20, 30, 40, 50])
    assert (ring.floor, ring.first, ring.last) == (20, 30, 50)


def test_a_floor_from_before_stands_until_something_is_lost() -> None:
    ring = Ring(1, floor=5)
    ring.append(7, frame(7))
    assert ring.floor == 5
    ring.append(9, frame(9))
    assert ring.floor == 7


@pytest.mark.parametrize("tick_id", [30, 29, 0, -1])
def test_an_id_that_does_not_follow_the_last_is_refused_and_changes_nothing(tick_id: int) -> None:
    ring = filled(3, [10, 30])
    with pytest.raises(ValueError, match="does not follow 30"):
        ring.append(tick_id, b"")
    assert ring.page(0, 100, 10) == (30, b"<10><30>")


@given(
    st.lists(st.integers(1, 60), unique=True).map(sorted),
    st.integers(1, 8),
    st.integers(0, 70),
    st.integers(0, 70),
    st.integers(1, 10),
)
def test_a_page_is_what_a_plain_search_would_find(
    ids: list[int], size: int, after: int, until: int, limit: int
) -> None:
    ring = filled(size, ids)
    expected = [tick_id for tick_id in ids[-size:] if after < tick_id <= until][:limit]
    assert ring.page(after, until, limit) == (
        expected[-1] if expected else after,
        b"".join(map(frame, expected)),
    )
    assert [tick_id for tick_id in ids if tick_id > ring.floor] == ids[-size:]


def test_ids_before_the_first_frame_are_the_stores_alone_until_one_is_evicted() -> None:
    ring = Ring(2, floor=5)
    assert ring.store_only == 5
    ring.append(10, b"a")
    ring.append(20, b"b")
    assert ring.store_only == 9
    ring.yield_to_store()
    assert (ring.floor, ring.store_only) == (9, 9)
    ring.append(30, b"c")
    assert (ring.floor, ring.store_only) == (10, 5)


def test_lacks_only_ids_between_those_it_covers() -> None:
    ring = Ring(10, 5, [(10, b"a"), (20, b"b")])
    assert [tick_id for tick_id in (5, 9, 10, 15, 20, 25) if ring.lacks(tick_id)] == [9, 15]
