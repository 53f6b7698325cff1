"""Stored prices and candles over HTTP, in answers of bounded size that lead on to one another."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Self

from fastapi import FastAPI, Query, Request, Response
from msgspec import Struct, structs
from pydantic import BaseModel, Field

from btc_price_tracker.price.candles import INTERVALS, Interval
from btc_price_tracker.store import Store
from btc_price_tracker.store.outbox import Outbox
from btc_price_tracker.store.paging import newest_first
from btc_price_tracker.web.digits import DIGITS
from btc_price_tracker.web.openapi import BAD_PARAMETER, PRICES, STORE_FAILS
from btc_price_tracker.web.problems import Problem
from btc_price_tracker.web.reply import encoder, get
from btc_price_tracker.web.resume import GREATEST_ID, check_since
from btc_price_tracker.web.views import CandleView, PriceView

MOST = 10_000  # rows in one answer
PAGE = 1_000  # rows read at once, so that the streams get their turn
END = 253_402_300_799  # the last second of the year 9999; now in milliseconds is far beyond
SETTLED = "public, max-age=3600"  # for what changes no more, unless somebody imports older prices

Rows = Annotated[int, Field(ge=1, le=MOST), DIGITS]


class Window(BaseModel):
    """Which rows, and how many."""

    since: Annotated[int, Field(ge=0, description="From this second (since the epoch) on."), DIGITS] = 0
    until: Annotated[
        int,
        Field(ge=0, json_schema_extra={"maximum": END}, description="Up to and including this second."),
        DIGITS,
    ] = END
    limit: Annotated[Rows, Field(description="At most so many; the `Link` header leads on.")] = 1000

    def checked(self, now: int) -> Self:
        """The same, if it makes sense at `now` (ms). Raises Problem (400)."""
        check_since(self.since, now)
        if self.until > END:
            raise Problem(400, f"until is too far: it is {now // 1000} now (in seconds, not milliseconds).")
        if self.until < self.since:
            raise Problem(400, f"until ({self.until}) is before since ({self.since}).")
        return self


class PriceQuery(Window):
    """Which prices, and in what form."""

    after: Annotated[int, Field(ge=0, le=GREATEST_ID, description="Only prices after this id."), DIGITS] = 0
    last: Annotated[
        Rows,
        Field(
            default_factory=int,  # 0: not asked for
            description="The newest so many; without `since`, `until`, `after` and `limit`.",
        ),
    ]
    format: Annotated[Literal["json", "csv"], Field(description="`json` or `csv`.")] = "json"

    def checked(self, now: int) -> Self:
        """The same, if it makes sense at `now` (ms). Raises Problem (400)."""
        others = self.model_fields_set & {"since", "until", "after", "limit"}
        if self.last and others:
            raise Problem(
                400, f"last can't be combined with {', '.join(sorted(others))}: it is all that it needs."
            )
        return super().checked(now)


class CandleQuery(Window):
    """Which candles."""

    interval: Annotated[
        Interval,
        Field(
            description=f"Width of a candle: {', '.join(f'`{name}`' for name in INTERVALS)}.", examples=["1h"]
        ),
    ]


def install(app: FastAPI, store: Store, outbox: Outbox, now: Callable[[], int]) -> None:
    """Serve `/prices` and `/prices/candles`; what waits in the outbox may still come into either."""

    @get(app, "/prices", PriceQuery, tags=[PRICES], responses={400: BAD_PARAMETER, 503: STORE_FAILS})
    async def prices(request: Request, query: Annotated[PriceQuery, Query()]) -> Response:
        """Stored prices, oldest first."""
        wanted, settled_to = query.checked(now()), outbox.settled(now())
        if wanted.last:
            return _answer(request, await _newest(store, wanted.last), wanted.format, {}, settled=False)
        start = max(wanted.since * 1000 - 1, wanted.after)
        rows = await _read(store, start, wanted.until * 1000 + 999, wanted.limit + 1)
        more = {"after": rows[wanted.limit - 1].id} if len(rows) > wanted.limit else {}
        settled = bool(more) or wanted.until < settled_to // 1000
        return _answer(request, rows[: wanted.limit], wanted.format, more, settled=settled)

    @get(app, "/prices/candles", CandleQuery, tags=[PRICES], responses={400: BAD_PARAMETER, 503: STORE_FAILS})
    async def candles(request: Request, query: Annotated[CandleQuery, Query()]) -> Response:
        """Prices rolled up, oldest first. Where there was no fresh price there is no candle."""
        wanted, seconds = query.checked(now()), INTERVALS[query.interval]
        settled_to = outbox.settled(now()) // 1000
        rolled = await store.candles(seconds, wanted.since, wanted.until, wanted.limit + 1)
        rows = [CandleView.of(candle, seconds, settled_to) for candle in rolled]
        more = {"since": rows[wanted.limit].timestamp} if len(rows) > wanted.limit else {}
        settled = all(row.final for row in rows) and (bool(more) or wanted.until + seconds <= settled_to)
        return _answer(request, rows[: wanted.limit], "json", more, settled=settled)


async def _read(store: Store, after: int, until: int, limit: int) -> list[PriceView]:
    """At most `limit` prices with after < id ≤ until."""
    rows: list[PriceView] = []
    while page := await store.page(after, until, min(limit - len(rows), PAGE)):
        rows += map(PriceView.of, page)
        after = page[-1].id
        if len(rows) == limit:
            break
    return rows


async def _newest(store: Store, limit: int) -> list[PriceView]:
    """The last `limit` prices, oldest first."""
    first = (await store.span()).first
    pages = [page async for page in newest_first(store, limit, first)]
    return [PriceView.of(tick) for page in reversed(pages) for tick in page]


def _answer(
    request: Request, rows: Sequence[Struct], form: str, more: dict[str, int], *, settled: bool
) -> Response:
    """The rows in the form that was asked for; `more` is where the next answer begins, if there is more."""
    headers = {"Cache-Control": SETTLED if settled else "no-store"}
    if more:
        # Relative: no Host of a caller's in what a cache shares, and right below a prefix that a proxy strips.
        headers["Link"] = f'<?{request.url.include_query_params(**more).query}>; rel="next"'
    if form == "csv":
        return Response(_csv(rows), headers=headers, media_type="text/csv")
    return Response(encoder.encode(rows), headers=headers, media_type="application/json")


def _cell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _csv(rows: Sequence[Struct]) -> str:
    """RFC 4180. No value of ours needs quotes."""
    lines = [",".join(PriceView.__struct_fields__)]
    lines += [",".join(map(_cell, structs.astuple(row))) for row in rows]
    return "\r\n".join([*lines, ""])
