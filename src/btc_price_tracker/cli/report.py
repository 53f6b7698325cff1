"""What `sources` and `check` print."""

import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from btc_price_tracker import app
from btc_price_tracker.http_client.check import check_connectivity
from btc_price_tracker.price.model import Status
from btc_price_tracker.settings import Settings, setting_text
from btc_price_tracker.web.api.views import SourceView
from btc_price_tracker.web.server.server import listen

WIDE = 10_000  # characters


async def print_sources(settings: Settings) -> int:
    """Ask once and print a table; the exit code is 1 if there is no quorum."""
    update, views = await app.poll_once(settings)
    table = Table("source", box=None, header_style="bold", pad_edge=False)
    for column in ("price", "age", "latency"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for view in views:
        table.add_row(view.name, *_figures(view), _verdict(view))
    console = _console()
    console.print(table)
    price = f"{update.tick.price:,} USD ± {update.tick.spread}" if update.tick else "no price"
    console.print(f"\n{price} · {update.status} · {update.reason}", markup=False)
    return 0 if _is_quorum(update.status, settings) else 1


async def print_check(settings: Settings) -> int:
    """Try what `serve` will need, open what the settings name, print what was found; the exit code is 0.

    Raises StoreError, HttpClientError and OSError, in terms of the settings.
    """
    for listener in listen(settings.host, 0):  # whether PORT is free says nothing while the server runs
        listener.close()
    await check_connectivity(app.source_urls(settings))
    async with app.history(settings) as store:
        span, what = await store.span(), await store.describe()
    console = _console()
    for name, value in settings.model_dump().items():
        if value is not None and not (name.endswith("_url") and value == Settings.model_fields[name].default):
            console.print(f"{name.upper()}={setting_text(name, value)}", markup=False, soft_wrap=True)
    held = f"prices from {_moment(span.first)} to {_moment(span.last)}" if span.first else "no prices yet"
    console.print(f"\nThe settings are good; the store opens and holds {held}.", soft_wrap=True)
    console.print(f"The store is {what}.", markup=False, soft_wrap=True)
    return 0


def _console() -> Console:
    """Standard output; lines break on a terminal only."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def _figures(view: SourceView) -> tuple[str, str, str]:
    price, age, latency = view.price, view.age, view.latency_ms
    return (
        f"{price:,.2f}" if price is not None else "–",
        f"{age:.1f} s" if age is not None else "–",
        f"{latency:.0f} ms" if latency is not None else "–",
    )


def _verdict(view: SourceView) -> Text:
    """What the source said is text, whatever brackets are in it."""
    if view.used:
        return Text("used", "green")
    said = view.error or view.reason or "not asked"
    return Text.assemble((view.state, "yellow"), f": {said.removeprefix(f'{view.state}: ')}")


def _is_quorum(status: Status, settings: Settings) -> bool:
    """Two exchanges that agree; one answer will do where one source, or the first that answers, was asked for."""
    one_will_do = settings.policy == "fallback" or len(settings.sources) == 1
    return status in (Status.OK, Status.DEGRADED) or (one_will_do and status is Status.SINGLE_SOURCE)


def _moment(tick_id: int) -> str:
    try:
        return datetime.fromtimestamp(tick_id / 1000, UTC).isoformat(sep=" ", timespec="seconds")
    except (ValueError, OverflowError, OSError):  # beyond the calendar: by what the platform makes of it
        return f"the id {tick_id}, which is no time in milliseconds"
