"""`/prices/next?after=ID`: the next price, waiting for it. For an id the answer never changes, so caches share it.

All clients behind one cache then cost one request per price, whatever their number.
"""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, Field

from btc_price_tracker.broker.link import Link
from btc_price_tracker.fanout import sse
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.web.access.check import LIVE_OR_HISTORY
from btc_price_tracker.web.api.openapi import BAD_PARAMETER, PRICES, STORE_FAILS, UNCHANGED
from btc_price_tracker.web.api.parameters import DIGITS
from btc_price_tracker.web.api.reply import get
from btc_price_tracker.web.caching import for_ever, is_unchanged
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.limits import SLOT, Slot
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.stream.position import MAX_ID
from btc_price_tracker.web.stream.shared import Streams

WAIT = 20.0  # seconds


class NextQuery(BaseModel):
    """The id that the price follows."""

    after: Annotated[
        int,
        Field(ge=0, le=MAX_ID, description="The id that the price follows.", examples=[1764000000123]),
        DIGITS,
    ]


@dataclass(frozen=True, slots=True)
class Following:
    """The price that follows an id, as JSON.

    `certain`: nothing that other instances have published can lie between the two.
    """

    id: int
    body: bytes
    certain: bool = True


@dataclass(frozen=True, slots=True)
class NextPrices:
    """Finds the price that follows an id, in the ring or in the store, or waits for it."""

    streams: Streams
    outbox: Outbox
    link: Link
    gate: Gate

    async def after(self, tick_id: int, seconds: float) -> Following | None:
        """The price after an id; None if there is none within `seconds`. Raises Problem, StoreError."""
        loop = asyncio.get_running_loop()
        deadline, hub = loop.time() + seconds, self.streams.hub
        while (found := await self._find(tick_id)) is None and not hub.draining:
            if not await hub.arrivals.within(deadline - loop.time()):
                return None
        return found

    def is_final(self, tick_id: int, found: Following) -> bool:
        """Whether no other price will ever be the one after `tick_id`, unless it is imported.

        Not where it may get lost with this instance (it waits for the store, or only this instance has it), and not
        where it or prices before it never reached the store.
        """
        if not found.certain or self.outbox.fault is not None or found.id > self.link.newest:
            return False
        return not any(each.last > tick_id and each.first <= found.id for each in self.outbox.lost_ranges)

    async def _find(self, tick_id: int) -> Following | None:
        """The price after an id, if there is one now. Awaits nothing after it has looked into the ring."""
        if tick_id >= self.streams.ring.floor:
            return self._recent(tick_id)
        return await self._stored(tick_id) or self._recent(tick_id)

    def _recent(self, tick_id: int) -> Following | None:
        """From the ring, which may lack what precedes its floor and isn't stored yet."""
        ring = self.streams.ring
        found, frame = ring.page(tick_id, ring.last, 1)
        return Following(found, sse.data(frame), certain=tick_id >= ring.floor) if frame else None

    async def _stored(self, tick_id: int) -> Following | None:
        """From the store, which has everything before what it has, but for what is dropped."""
        async with self.gate.admit():
            ticks = await self.streams.store.page(tick_id, None, 1)
            dropped = (await self.streams.store.span()).dropped  # in this order: the page is from before
        if tick_id < dropped:
            raise Problem(410, f"Prices up to the id {dropped} are dropped; begin after it.")
        return Following(ticks[0].id, sse.data(sse.price(ticks[0]))) if ticks else None


def install(app: FastAPI, prices: NextPrices, wait: float = WAIT) -> None:
    """Add the route, which waits for at most `wait` seconds."""

    @get(
        app,
        "/prices/next",
        NextQuery,
        tags=[PRICES],
        responses={
            204: {"description": "There is no such price yet: ask again."},
            304: UNCHANGED,
            400: BAD_PARAMETER,
            410: {"description": "The prices after this id are dropped."},
            503: STORE_FAILS,
        },
    )
    async def following(request: Request, query: Annotated[NextQuery, Query()]) -> Response:
        """The price after an id. Waits for up to 20 s until there is one; a cache may keep it for ever."""
        canonical = f"after={query.after}"
        if request.url.query != canonical:
            raise Problem(400, f"Caches need one URL for each id; ask for ?{canonical}.")
        slot: Slot = request.scope[SLOT]
        slot.admit_waiting()
        with slot.grant.waits(LIVE_OR_HISTORY) if slot.grant else nullcontext():
            found = await prices.after(query.after, wait)
        if found is None:
            return Response(status_code=204, headers={"Cache-Control": "no-store"})
        tag = f'"{found.id}"'
        headers = {
            "Cache-Control": for_ever() if prices.is_final(query.after, found) else "no-store",
            "ETag": tag,
            "Link": f'<?after={found.id}>; rel="next"',
        }
        if is_unchanged(request, tag):
            return Response(status_code=304, headers=headers)
        return Response(found.body, 200, headers, "application/json")
