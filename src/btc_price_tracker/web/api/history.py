"""`/prices` and `/prices/candles`: responses of bounded size, each linked to the next."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Annotated, Literal, NamedTuple, Self

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, Field

from btc_price_tracker.price.candles import INTERVALS, Candle, Interval
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.web.api.forms import FORMS, Form, Page, Pages, Read
from btc_price_tracker.web.api.openapi import BAD_PARAMETER, PRICES, STORE_FAILS
from btc_price_tracker.web.api.paged import PagedResponse
from btc_price_tracker.web.api.parameters import DIGITS
from btc_price_tracker.web.api.reply import get
from btc_price_tracker.web.api.views import CandleView, PriceView
from btc_price_tracker.web.caching import kept_for
from btc_price_tracker.web.gate import Gate
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.stream.position import MAX_ID, check_since

MAX_ROWS = 10_000  # in one response
PAGE = 200  # rows read and sent at once, about 30 KB: what one slow client costs
KEPT = 0.5  # seconds for which aggregated candles are kept for a client
END = 253_402_300_799  # the last second of the year 9999; now in milliseconds is far beyond
SETTLED = 3600  # seconds for which what no longer changes, unless older prices are imported, may be kept

Rows = Annotated[int, Field(ge=1, le=MAX_ROWS), DIGITS]


class Window(BaseModel):
    """The range and number of rows."""

    since: Annotated[int, Field(ge=0, description="First second, since the epoch."), DIGITS] = 0
    until: Annotated[
        int,
        Field(ge=0, json_schema_extra={"maximum": END}, description="Last second, inclusive."),
        DIGITS,
    ] = END
    limit: Annotated[
        Rows, Field(description="Maximum number of rows; the `Link` header leads to the next.")
    ] = 1000

    def checked(self, now: int) -> Self:
        """Return the query if it is valid at `now` (ms). Raises Problem (400)."""
        check_since(self.since, now)
        if self.until > END:
            raise Problem(400, f"until is too large: now is {now // 1000} (in seconds, not milliseconds).")
        if self.until < self.since:
            raise Problem(400, f"until ({self.until}) is before since ({self.since}).")
        return self


class PriceQuery(Window):
    """The prices and their format."""

    after: Annotated[int, Field(ge=0, le=MAX_ID, description="Only prices with a greater id."), DIGITS] = 0
    last: Annotated[
        Rows,
        Field(
            default_factory=int,  # 0: not given
            description="Only the newest so many; not with `since`, `until`, `after` or `limit`.",
        ),
    ]
    format: Annotated[Literal["json", "csv"], Field(description="`json` or `csv`.")] = "json"

    def checked(self, now: int) -> Self:
        """Return the query if it is valid at `now` (ms). Raises Problem (400)."""
        others = self.model_fields_set & {"since", "until", "after", "limit"}
        if self.last and others:
            raise Problem(400, f"last can't be combined with {', '.join(sorted(others))}.")
        return super().checked(now)


class CandleQuery(Window):
    """The range and width of candles."""

    interval: Annotated[
        Interval,
        Field(
            description=f"Width of a candle: {', '.join(f'`{name}`' for name in INTERVALS)}.", examples=["1h"]
        ),
    ]


class Gates(NamedTuple):
    """The gates to the store: one for prices, one for candles, which take longer."""

    prices: Gate
    candles: Gate


def install(app: FastAPI, store: Store, outbox: Outbox, gates: Gates, now: Callable[[], int]) -> None:
    """Add the routes; prices in the outbox may still be added to either's past."""

    @get(app, "/prices", PriceQuery, tags=[PRICES], responses={400: BAD_PARAMETER, 503: STORE_FAILS})
    async def prices(request: Request, query: Annotated[PriceQuery, Query()]) -> Response:
        """Stored prices, oldest first."""
        wanted, settled_to = query.checked(now()), outbox.settled(now())
        if wanted.last:
            return await _newest(store, gates.prices, wanted)
        start, limit = max(wanted.since * 1000 - 1, wanted.after), wanted.limit
        until = min(wanted.until * 1000 + 999, now())  # newer prices belong to the next request
        async with gates.prices.admit():
            ticks = await store.page(start, until, min(limit + 1, PAGE))
            if len(ticks) == PAGE <= limit:  # the response is longer than this page
                ends = await store.ids(start, until, limit - 1, 2)
            else:
                ends = [tick.id for tick in ticks[limit - 1 : limit + 1]]
        more = {"after": ends[0]} if len(ends) == 2 else {}
        settled = bool(more) or wanted.until < settled_to // 1000
        form = FORMS[wanted.format]
        rest = partial(_read_prices, store, gates.prices, form, ends[0] if ends else until)
        headers = _headers(request, more, settled=settled)
        return respond(form, price_page(form, ticks[:limit]), rest, headers)

    @get(app, "/prices/candles", CandleQuery, tags=[PRICES], responses={400: BAD_PARAMETER, 503: STORE_FAILS})
    async def candles(request: Request, query: Annotated[CandleQuery, Query()]) -> Response:
        """Candles of the stored prices, oldest first. Periods without a fresh price have none."""
        wanted, seconds = query.checked(now()), INTERVALS[query.interval]
        settled_to = outbox.settled(now()) // 1000
        async with gates.candles.admit():
            rolled = await store.candles(seconds, wanted.since, wanted.until, wanted.limit + 1)
        more = {"since": rolled.pop().timestamp} if len(rolled) > wanted.limit else {}
        final = not rolled or rolled[-1].timestamp + seconds <= settled_to
        settled = final and (bool(more) or wanted.until + seconds <= settled_to)
        rest = Candles(rolled, store, gates.candles, seconds, settled_to)
        headers = _headers(request, more, settled=settled)
        return respond(FORMS["json"], rest.page(), rest.read, headers)


def price_page(form: Form, ticks: Sequence[Tick]) -> Page:
    """A page of prices; a full one is followed by another."""
    following = ticks[-1].id if len(ticks) == PAGE else None
    return Page(form.rows([PriceView.of(tick) for tick in ticks]), following)


async def _newest(store: Store, gate: Gate, wanted: PriceQuery) -> Response:
    """The last prices, oldest first."""
    form = FORMS[wanted.format]
    async with gate.admit():
        ticks = await store.newest(wanted.last)
    rest = partial(_read_prices, store, gate, form, ticks[-1].id if ticks else 0)
    return respond(form, price_page(form, ticks[:PAGE]), rest, {"Cache-Control": "no-store"})


async def _read_prices(store: Store, gate: Gate, form: Form, until: int, after: int) -> Page:
    async with gate.turn():
        return price_page(form, await store.page(after, until, PAGE))


class Candles:
    """The candles of a response, kept briefly for a client that reads fast.

    For a slower one they are aggregated again, page by page, to bound the memory of many slow clients.
    """

    def __init__(self, rolled: list[Candle], store: Store, gate: Gate, seconds: int, settled: int) -> None:
        self._rolled = rolled
        self._store = store
        self._gate = gate
        self._seconds = seconds
        self._settled = settled
        self._last = rolled[-1].timestamp if rolled else 0
        if len(rolled) > PAGE:
            asyncio.get_running_loop().call_later(KEPT, rolled.clear)

    def page(self, position: int = 0) -> Page:
        """The page that begins at `position`, from the kept candles."""
        start = bisect_left(self._rolled, position, key=attrgetter("timestamp"))
        return self._page(self._rolled[start : start + PAGE])

    async def read(self, position: int) -> Page:
        """The page that begins at `position`. Raises Problem, StoreError."""
        if self._rolled:
            return self.page(position)
        async with self._gate.turn():
            return self._page(await self._store.candles(self._seconds, position, self._last, PAGE))

    def _page(self, candles: Sequence[Candle]) -> Page:
        rows = FORMS["json"].rows([CandleView.of(each, self._seconds, self._settled) for each in candles])
        ends = not candles or candles[-1].timestamp == self._last
        return Page(rows, None if ends else candles[-1].timestamp + self._seconds)


def _headers(request: Request, more: dict[str, int], *, settled: bool) -> dict[str, str]:
    """The headers of a response; `more` are the parameters of the next one, if there is more."""
    headers = {"Cache-Control": kept_for(SETTLED) if settled else "no-store"}
    if more:
        # Relative: a shared cache holds no client's Host, and it is right below a prefix that a proxy strips.
        headers["Link"] = f'<?{request.url.include_query_params(**more).query}>; rel="next"'
    return headers


def respond(form: Form, first: Page, rest: Read, headers: dict[str, str]) -> Response:
    """A response of one page, or one that reads further pages when they are due."""
    if first.following is None:
        return Response(form.opening + first.rows + form.closing, 200, headers, form.media_type)
    return PagedResponse(Pages(form, first, rest), headers, form.media_type)
