"""`sources`: ask every configured source once."""

import asyncio
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from btc_price_tracker import app
from btc_price_tracker.price.model import Status
from btc_price_tracker.settings import Settings, load
from btc_price_tracker.telemetry import logs
from btc_price_tracker.web.api.views import SourceView

WIDE = 10_000  # characters


def run(flags: Mapping[str, str]) -> int:
    """Ask once and print a table; the exit code is 1 if there is no quorum."""
    logs.configure("error", "auto")  # the table says it all
    return asyncio.run(_print_sources(load(flags)))


async def _print_sources(settings: Settings) -> int:
    update, views = await app.ask_once(settings)
    table = Table("source", box=None, header_style="bold", pad_edge=False)
    for column in ("price", "age", "latency"):
        table.add_column(column, justify="right")
    table.add_column("verdict")
    for view in views:
        table.add_row(view.name, *_figures(view), _verdict(view))
    # Lines break on a terminal only.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    console.print(table)
    price = f"{update.tick.price:,} USD ± {update.tick.spread}" if update.tick else "no price"
    console.print(f"\n{price} · {update.status} · {update.reason}", markup=False)
    return 0 if _is_quorum(update.status, settings) else 1


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
