"""memory:///path goes on from where it was, and takes no file for its own that isn't."""

from decimal import Decimal
from pathlib import Path

import pytest

from btc_price_tracker.price.model import Judged, Kind, Status, Tick
from btc_price_tracker.store import StoreError, open_store
from btc_price_tracker.store.snapshot import SnapshotStore, load, save
from btc_price_tracker.testing import ManualClock

QUOTE = Judged("kraken", Kind.EXCHANGE, last=Decimal("69420.10000"), age=12, used=True)


def tick(tick_id: int) -> Tick:
    return Tick(tick_id, Decimal("69420.10"), Status.OK, 3, Decimal("3.10"), 0, "vote3-ped/1", (QUOTE,))


async def test_a_proper_end_loses_nothing(tmp_path: Path) -> None:
    url = f"memory://{tmp_path}/prices.snapshot"
    store = await open_store(url, capacity=10)
    await store.append([tick(1), tick(2)])
    await store.close()
    store = await open_store(url, capacity=10)
    assert await store.get(2) == tick(2)
    assert (await store.span())[:2] == (1, 2)


async def test_a_crash_loses_the_last_minute_at_most(tmp_path: Path) -> None:
    path, clock = tmp_path / "prices.snapshot", ManualClock()
    store = SnapshotStore(path, 10, clock)
    await store.append([tick(1)])
    assert not path.exists()
    await clock.advance(60)
    await store.append([tick(2)])
    await store.append([tick(3)])
    assert load(path) == [tick(1), tick(2)]


def test_a_crash_while_writing_leaves_the_snapshot_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prices.snapshot"
    save(path, [tick(1)])

    def crash(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(StoreError, match="No space left"):
        save(path, [tick(1), tick(2)])
    assert load(path) == [tick(1)]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: content[:-1], "damaged"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "damaged"),
        (lambda content: content.replace(b"snapshot 1", b"snapshot 2", 1), "another version"),
        (lambda _: b"SQLite format 3\0", "no snapshot of ours"),
        (lambda _: b"", "no snapshot of ours"),
    ],
)
async def test_a_torn_or_foreign_file_is_refused_and_kept(tmp_path: Path, spoil: object, reason: str) -> None:
    path = tmp_path / "prices.snapshot"
    save(path, [tick(1)])
    assert callable(spoil)
    path.write_bytes(spoil(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=reason):
        await open_store(f"memory://{path}", capacity=10)
    assert path.read_bytes() == before
