"""`/prices/hours/{hour}`: all prices of an hour, under one URL for every client, so that caches can keep it."""

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.web.api.forms import FORMS, Page
from btc_price_tracker.web.api.history import PAGE, price_page, respond
from btc_price_tracker.web.api.openapi import BAD_PARAMETER, PRICES, STORE_FAILS, UNCHANGED
from btc_price_tracker.web.api.reply import get
from btc_price_tracker.web.caching import for_ever, is_unchanged
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.problems import Problem

HOUR = 3_600_000  # ms
FORMAT = "%Y-%m-%dT%H"

# For those who read the description: what is no hour has an error message of its own.
PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])$"

Name = Annotated[
    str,
    Path(
        alias="hour",
        description="An hour in UTC, like `2026-11-26T09`.",
        examples=["2026-11-26T09"],
        json_schema_extra={"pattern": PATTERN},
    ),
]


def install(app: FastAPI, store: Store, outbox: Outbox, gate: Gate, now: Callable[[], int]) -> None:
    """Add the route; prices in the outbox may still be added."""

    @get(
        app,
        "/prices/hours/{hour}",
        tags=[PRICES],
        responses={
            304: UNCHANGED,
            400: BAD_PARAMETER,
            404: {"description": "The hour is still to come, or its prices are dropped."},
            503: STORE_FAILS,
        },
    )
    async def hour(request: Request, name: Name) -> Response:
        """All prices of an hour, oldest first. `immutable` once no price can be added but by an import."""
        start = _start_of(name, now())
        async with gate.admit():
            last = (await store.span()).last
            ids = array("q", await store.ids(start - 1, start + HOUR - 1, 0, HOUR))
            span = await store.span()
        if not ids and start <= span.dropped:
            raise Problem(404, f"The prices of {name} are dropped.")
        # A price after this hour, in the store before the ids were read, shows that they are complete at their end,
        # since prices are stored in order; and what is dropped since, at their beginning.
        is_complete = span.dropped < start < start + HOUR <= min(last, outbox.settled(now()))
        is_settled = is_complete and span.first < start + HOUR  # earlier history may be imported yet
        tag = f'"{_version(ids)}"'
        headers = {
            "Cache-Control": for_ever() if is_settled else "no-cache",
            "ETag": f"W/{tag}",  # weak: it may be compressed
        }
        if 0 < span.first < start:
            headers["Link"] = f'<{_name(start - HOUR)}>; rel="prev"'
        if is_unchanged(request, tag):
            return Response(status_code=304, headers=headers)
        prices = Prices(store, gate, ids)
        return respond(FORMS["json"], await prices.page(start - 1), prices.page, headers)


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices with these ids, oldest first, read page by page."""

    store: Store
    gate: Gate
    ids: "array[int]"

    async def page(self, after: int) -> Page:
        """The page of prices after an id. Raises Problem and StoreError.

        The latter also where an import or the retention has changed them meanwhile: a cache must not keep the prices
        of one version as another. It ends the response without its proper end.
        """
        start = bisect_right(self.ids, after)
        expected = self.ids[start : start + PAGE].tolist()
        if not expected:
            return price_page(FORMS["json"], ())
        async with self.gate.turn():
            ticks = await self.store.page(after, expected[-1], PAGE)
        if [tick.id for tick in ticks] != expected:
            raise StoreError("the prices of this hour changed while they were read")
        return price_page(FORMS["json"], ticks)


def _start_of(hour: str, now: int) -> int:
    """The first millisecond of an hour. Raises Problem where there is no such hour, or none yet."""
    try:
        time = datetime.strptime(hour, FORMAT).replace(tzinfo=UTC)
    except ValueError:
        time = None
    if time is None or time.strftime(FORMAT) != hour:
        raise Problem(400, f"{hour[:40]!r} is no hour: give it in UTC, like 2026-11-26T09.")
    start = int(time.timestamp()) * 1000
    if start > now:
        raise Problem(404, f"{hour} is still to come.")
    return start


def _name(start: int) -> str:
    return datetime.fromtimestamp(start // 1000, UTC).strftime(FORMAT)


def _version(ids: "array[int]") -> str:
    """A version that changes with every import into the hour: prices with known ids are never replaced."""
    return hashlib.blake2b(ids.tobytes(), digest_size=12).hexdigest()
