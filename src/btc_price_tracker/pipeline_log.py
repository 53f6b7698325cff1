"""What the pipeline logs about rounds and updates."""

import structlog
from structlog.contextvars import bind_contextvars, unbind_contextvars

from btc_price_tracker.price.model import Status, Update

log = structlog.get_logger(__name__)


def log_behind(milliseconds: int) -> None:
    """Log that the clock is behind the newest price by so much."""
    log.warning(
        "the clock is behind the last price: until it has caught up, prices bear that one's time",
        seconds=milliseconds // 1000,
    )


def log_round(update: Update) -> None:
    """Log what a round came to. What follows in its task belongs to its tick."""
    if update.tick is not None:
        bind_contextvars(tick_id=update.tick.id)
    quotes = {quote.source: quote.state or quote.reason for quote in update.quotes}
    price = None if update.tick is None else str(update.tick.price)
    log.debug("round concluded", status=update.status, reason=update.reason, price=price, quotes=quotes)


def log_received(update: Update) -> None:
    """Log that an update came through the broker. What follows in its task belongs to its tick, if it has one."""
    if update.tick is None:
        unbind_contextvars("tick_id")
    else:
        bind_contextvars(tick_id=update.tick.id)
    log.debug("update received", status=update.status, term=update.term, leader=update.leader)


def log_status(update: Update, *, has_price: bool) -> None:
    """Log a new status; and a hint where there is no price to show."""
    if update.status is Status.STALE:
        log.warning("price status", status=update.status, reason=update.reason)
    else:
        log.info("price status", status=update.status, reason=update.reason)
    if not has_price:
        log.warning("no price to show; to see one without internet, run the demo: make demo")
