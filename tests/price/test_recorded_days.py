"""The rule on the recorded day that ships with the package; the twelve days are in bench/disagreement.py."""

from decimal import Decimal

from btc_price_tracker.playback.recording import MINUTE, packaged
from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.model import Answer, Kind, Quote, Status
from btc_price_tracker.price.recompute import recompute

VENUES = ("coinbase", "kraken", "binanceus")


def test_every_minute_is_recomputed_and_never_ok_while_coinbase_is_down() -> None:
    table = packaged()
    policy = Consensus(MINUTE / 1000)
    statuses = set()
    for minute in range(240, 480):  # Coinbase falls silent at 17:00 UTC, minute 270 of the table
        now = table.start + MINUTE * minute
        closes = {venue: table.prices[venue][minute] for venue in VENUES}
        update = policy.decide([_answer(venue, close, now) for venue, close in closes.items()], now)
        heard = sorted(close for close in closes.values() if close is not None)
        tick = update.tick
        assert tick is not None
        assert recompute(tick) == (tick.price, tick.spread)
        assert heard[0] <= tick.price <= heard[-1]
        assert (update.status is Status.OK) == (len(heard) == 3)
        statuses.add(update.status)
    assert statuses == {Status.OK, Status.DEGRADED}


def _answer(venue: str, close: Decimal | None, now: int) -> Answer:
    quote = None if close is None else Quote(close, time=now)
    return Answer(venue, Kind.EXCHANGE, quote=quote, received_at=now, fault=None if quote else "no trade")
