"""What must hold in every history. Each returns the violations it found, as sentences."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.client import Client
    from simulation.world import History

STORING = 5.0  # seconds that storing may take: what was published just before the end isn't expected yet


def check(history: "History", seconds: float) -> list[str]:
    """All of them; a price must be published within so many seconds after the last fault."""
    return [
        *_ids_increase(history),
        *_one_term_publishes(history),
        *history.database.violations,
        *_published_is_stored(history),
        *_transcripts_agree(history),
        *_prices_go_on(history, seconds),
    ]


def _ids_increase(history: "History") -> Iterator[str]:
    for client in history.clients:
        for before, after in pairwise(client.ids):
            if after <= before:
                yield f"{client.name} got {after} after {before}"
    for one, other in pairwise(each.tick.id for each in history.server.accepted):
        if other <= one:
            yield f"the broker got {other} after {one}"


def _one_term_publishes(history: "History") -> Iterator[str]:
    for before, after in pairwise(history.server.accepted):
        if (after.epoch, after.term) < (before.epoch, before.term):
            yield f"term {after.term} published {after.tick.id} after term {before.term}"


def _published_is_stored(history: "History") -> Iterator[str]:
    stored = history.database.held()
    for each in history.server.accepted:
        if (
            each.at < history.end - STORING
            and each.tick.id not in stored
            and each.tick.id not in history.forgotten
        ):
            yield f"{each.tick.id} of term {each.term} was published and never stored"


def _transcripts_agree(history: "History") -> Iterator[str]:
    stored = history.database.held().keys() | history.forgotten
    for client in history.clients:
        if client.ids:
            yield from _transcript_agrees(client, stored, history.forgotten)


def _transcript_agrees(client: "Client", stored: set[int], forgotten: set[int]) -> Iterator[str]:
    first, last, had = client.ids[0], client.ids[-1], set(client.ids)
    for tick_id in sorted(stored - forgotten):
        if first < tick_id < last and tick_id not in had and not client.is_announced(tick_id):
            yield f"{client.name} missed {tick_id} and was not told"
    for tick_id in client.ids:
        if tick_id not in stored and not client.is_announced(tick_id) and tick_id != last:
            yield f"{client.name} got {tick_id}, which is not in the store, and was not told"


def _prices_go_on(history: "History", seconds: float) -> Iterator[str]:
    end = history.plan.troubled
    later = [each.at for each in history.server.accepted if each.at > end]
    if not later or later[0] > end + seconds:
        yield f"no price within {seconds:g} s after the faults: {later[:1]}"
    # What an instance with a clock ahead published alone delays its clients' next price by as much.
    ahead = sum(abs(fault.seconds) for fault in history.plan.faults if fault.kind == "clock")
    for client in history.clients:
        if client.received_at <= end + seconds and ahead < seconds:
            yield f"{client.name} got no price any more, the last at {client.received_at:.1f}"
