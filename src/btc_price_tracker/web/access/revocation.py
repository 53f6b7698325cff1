"""Ends the streams whose token was revoked, or has lost the scope."""

import asyncio

import structlog

from btc_price_tracker.access.registry import Access
from btc_price_tracker.fanout.counts import Reason
from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.fanout.stream import Stream

SLICE = 500  # streams ended before the event loop runs again

log = structlog.get_logger(__name__)


async def end_revoked(access: Access, hub: Hub) -> None:
    """End such streams whenever the tokens have changed. Runs for as long as the hub."""
    while True:
        await access.changed.wait()
        access.changed.clear()
        # In one step: every stream is either about to be opened or in the hub.
        interrupted, revoked = access.interrupt(), [stream for stream in hub.streams if _is_revoked(stream)]
        for number, stream in enumerate(revoked):
            hub.end(stream, hub.final_retry(len(revoked)), Reason.REVOKED)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        if interrupted or revoked:
            log.info("streams of revoked tokens ended", streams=interrupted + len(revoked))


def _is_revoked(stream: Stream) -> bool:
    return stream.slot is not None and stream.slot.is_revoked
