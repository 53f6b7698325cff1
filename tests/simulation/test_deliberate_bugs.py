"""Each invariant can fail: with a bug put in, some history among the first ones shows it."""

from collections.abc import AsyncGenerator

import pytest

from btc_price_tracker import pipeline
from btc_price_tracker.broker.link import Link
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.ring import Ring
from btc_price_tracker.pipeline import Keep, Publish
from btc_price_tracker.price.model import Update
from btc_price_tracker.price.publisher import Publisher
from btc_price_tracker.succession import Candidate, Publications
from simulation.plan import plan
from simulation.world import run

HISTORIES = 300


def violation(words: str, *, is_fenced: bool = True) -> bool:
    """Whether a history among the first shows a violation that is said in these words."""
    return any(
        words in text for seed in range(HISTORIES) for text in run(plan(seed), is_fenced=is_fenced).violations
    )


def test_broker_without_a_fence_lets_two_terms_publish() -> None:
    assert violation("after term", is_fenced=False)


def test_ids_that_ignore_those_before_fall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publisher, "_next_id", lambda self: self._now)
    monkeypatch.setattr(Ring, "append", _append_anything)
    monkeypatch.setattr(Hub, "publish", _publish_anything)
    assert violation(" got 17")


def _append_anything(ring: Ring, tick_id: int, frame: bytes) -> None:
    ring._ids.append(tick_id)
    ring._frames.append(frame)


def _publish_anything(hub: Hub, update: Update) -> None:
    from btc_price_tracker.fanout import sse  # noqa: PLC0415 - only the bug needs it

    if update.tick is not None:
        hub._outbox.append(sse.price(update.tick))
        hub._begin_round()


def test_storing_before_publishing_stores_what_is_never_published(monkeypatch: pytest.MonkeyPatch) -> None:
    right = pipeline.produce

    async def store_first(
        updates: AsyncGenerator[Update, None], publish: Publish, keep: Keep, **_: object
    ) -> None:
        await right(updates, publish, keep, durable_first=True)

    monkeypatch.setattr(pipeline, "produce", store_first)
    assert violation("stored but never published")


def test_new_leader_that_stores_nothing_leaves_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(Candidate, "_store_missing", nothing)
    assert violation("was published and never stored")


def test_rejoining_without_a_gap_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def silently(hub: Hub, shared: int, until: int = 0) -> None:
        hub._ring.clear(max(hub.newest, until), shared)

    monkeypatch.setattr(Hub, "rejoin", silently)
    assert violation("was not told")


def test_follower_that_does_not_notice_what_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def publish(self: Publications, update: Update) -> None:
        await self._term.publish(update)
        if update.tick is not None:
            self.last = update.tick.id

    monkeypatch.setattr(Publications, "publish", publish)
    assert violation("missed")


def test_client_with_the_id_of_an_outage_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ring, "lacks", lambda *_: False)
    assert violation("was not told")


def test_leader_that_never_recovers_stops_the_price(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Link.recover

    def recover(link: Link) -> None:
        if link.fault is None:
            right(link)

    monkeypatch.setattr(Link, "recover", recover)
    assert violation("no price")
