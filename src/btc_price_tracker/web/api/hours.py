"""`/prices/hours/{hour}`: all prices of an hour, under one URL for every client, so that caches can keep it."""

import hashlib
from array import array
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import FastAPI, Path, Request, Response

from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.web.api.forms import FORMS
from btc_price_tracker.web.api.history import PAGE, price_page, read_prices, respond
from btc_price_tracker.web.api.openapi import BAD_PARAMETER, PRICES, STORE_FAILS
from btc_price_tracker.web.api.reply import IMMUTABLE, get
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.problems import Problem

HOUR = 3_600_000  # ms
FORMAT = "%Y-%m-%dT%H"
MOST = 1_000_000  # ids of an hour that are read for its version

Hour = Annotated[
    str, Path(alias="hour", description="An hour in UTC, like `2026-11-26T09`.", examples=["2026-11-26T09"])
]


def install(app: FastAPI, store: Store, outbox: Outbox, gate: Gate, now: Callable[[], int]) -> None:
    """Add the route."""

    @get(
        app,
        "/prices/hours/{hour}",
        tags=[PRICES],
        responses={
            304: {"description": "Unchanged since the `If-None-Match` of the request."},
            400: BAD_PARAMETER,
            404: {"description": "The hour is still to come, or its prices are dropped."},
            503: STORE_FAILS,
        },
    )
    async def hour(request: Request, name: Hour) -> Response:
        """All prices of an hour, oldest first. `immutable` once no price can be added but by an import."""
        start = _start_of(name, now())
        until = start + HOUR - 1
        async with gate.admit():
            span = await store.span()
            ids = await store.ids(start - 1, until, 0, MOST)
            if not ids and start <= span.dropped:
                raise Problem(404, f"The prices of {name} are dropped.")
            ticks = await store.page(start - 1, until, PAGE)
        # A later price in the store shows that it has all of this hour: they are stored in order.
        is_settled = until < outbox.settled(now()) and span.last > until and start > span.dropped
        version = _version(ids)
        headers = {
            "Cache-Control": IMMUTABLE if is_settled else "no-cache",
            "ETag": f'"{version}"',
        }
        if version in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        form = FORMS["json"]
        return respond(form, price_page(form, ticks), partial(read_prices, store, gate, form, until), headers)


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


def _version(ids: list[int]) -> str:
    """A version that changes with every import into the hour: prices with known ids are never replaced."""
    return hashlib.blake2b(array("q", ids).tobytes(), digest_size=12).hexdigest()
