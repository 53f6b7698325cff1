"""`sources`: poll every source once and print the results."""

import asyncio
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from btc_price_tracker import app
from btc_price_tracker.price.model import QuoteState, Status
from btc_price_tracker.settings import Settings, load
from btc_price_tracker.telemetry import logs
from btc_price_tracker.web.api.views import SourceView

UNWRAPPED = 10_000  # columns: lines are wrapped on a terminal only


def run(flags: Mapping[str, str]) -> int:
    """Poll once and print a table; returns 1 if there is no quorum."""
    logs.configure("error", "auto")  # the table shows the failures
    settings = load(flags)
    update, views, _ = asyncio.run(app.poll_once(settings))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else UNWRAPPED)
    console.print(_table(views))
    price = f"{update.tick.price:,} USD ± {update.tick.spread}" if update.tick else "no price"
    console.print(f"\n{price} · {update.status} · {update.reason}", markup=False)
    return 0 if is_quorum(update.status, settings) else 1


def _table(views: list[SourceView]) -> Table:
    table = Table("source", box=None, header_style="bold", pad_edge=False)
    for column in ("price", "age", "latency"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for view in views:
        table.add_row(view.name, *_figures(view), _verdict(view))
    return table


def _figures(view: SourceView) -> tuple[str, str, str]:
    price, age, latency = view.price, view.age, view.latency_ms
    return (
        f"{price:,.2f}" if price is not None else "–",
        f"{age:.1f} s" if age is not None else "–",
        f"{latency:.0f} ms" if latency is not None else "–",
    )


def _verdict(view: SourceView) -> Text:
    """Used, or why not; as text, since a source's message may contain what rich takes for markup."""
    if view.used:
        return Text("used", "green")
    reason = view.error or view.reason or "not polled"
    if view.state == QuoteState.EXCLUDED:  # the reason names the state
        return Text(reason, "yellow")
    return Text.assemble((view.state, "yellow"), f": {reason}")


def is_quorum(status: Status, settings: Settings) -> bool:
    """Whether two exchanges agree, or one source answered where the settings require no more."""
    one_suffices = settings.policy == "fallback" or len(settings.sources) == 1
    return status in (Status.OK, Status.DEGRADED) or (one_suffices and status is Status.SINGLE_SOURCE)
