"""`/prices/latest`, and `/prices/{id}` with the quotes that a price was computed from."""

from typing import Annotated

from fastapi import FastAPI, Path, Response

from btc_price_tracker.fanout.hub import Hub
from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.web.api.openapi import BAD_PARAMETER, PRICES, STORE_FAILS
from btc_price_tracker.web.api.parameters import DIGITS
from btc_price_tracker.web.api.reply import get, reply
from btc_price_tracker.web.api.views import PriceView, Provenance
from btc_price_tracker.web.caching import kept_for
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.stream.position import MAX_ID

A_DAY = 86_400  # seconds

TickId = Annotated[int, Path(alias="id", ge=0, le=MAX_ID, description="The id of a price."), DIGITS]


def install(app: FastAPI, hub: Hub, store: Store, outbox: Outbox, gate: Gate, interval: float) -> None:
    """Add the routes; there is a price every `interval` seconds."""

    @get(app, "/prices/latest", tags=[PRICES], responses={503: {"description": "There is no price yet."}})
    async def latest() -> Response:
        """The newest price; its status is `stale` and its age grows if no fresh price has followed."""
        newest = hub.latest
        if newest is None:
            raise Problem(503, hub.reason, {"Retry-After": str(round(interval))})
        return reply(PriceView.of(newest))

    @get(
        app,
        "/prices/{id}",
        tags=[PRICES],
        responses={400: BAD_PARAMETER, 404: {"description": "There is no such price."}, 503: STORE_FAILS},
    )
    async def price(tick_id: TickId) -> Response:
        """One price and the quote of every source: enough to recompute it."""
        # In this order: what leaves the outbox meanwhile is in the store.
        tick = outbox.get(tick_id)
        if tick is None:
            async with gate.admit():
                tick = await store.get(tick_id)
        if tick is None:
            raise Problem(404, f"There is no price with the id {tick_id}.")
        return reply(Provenance.of(tick), cache=kept_for(A_DAY, immutable=True))
