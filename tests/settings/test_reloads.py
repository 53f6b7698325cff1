"""What is read again when its files change, and on demand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from btc_price_tracker.settings.reloads import Reloads
from btc_price_tracker.testing import ManualClock


class Watched:
    """Reloads on a clock of ours, and the names of those that were read again."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.reloads = Reloads(self.clock)
        self.done: list[str] = []

    def add(self, path: Path) -> None:
        self.reloads.add([path], lambda: self.done.append(path.name))


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    watched = Watched()
    for name in "ab":
        (tmp_path / name).write_text("1")
        watched.add(tmp_path / name)
    task = asyncio.create_task(watched.reloads.watch())
    await watched.clock.sleeping()
    yield watched
    task.cancel()


async def test_changed_file_is_read_again_within_half_a_second(watched: Watched, tmp_path: Path) -> None:
    await watched.clock.advance(60)
    assert watched.done == []
    (tmp_path / "a").write_text("22")
    await watched.clock.advance(0.5)
    assert watched.done == ["a"]
    await watched.clock.advance(60)
    assert watched.done == ["a"]


async def test_everything_is_read_again_on_demand(watched: Watched) -> None:
    watched.reloads.all()
    assert watched.done == ["a", "b"]


async def test_nothing_is_watched_where_nothing_was_added() -> None:
    reloads = Reloads(ManualClock())
    assert not reloads
    await asyncio.wait_for(reloads.watch(), 30)
