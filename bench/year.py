"""A synthetic year of prices: a seeded random walk, one price every ten seconds, ending now."""

import random
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick

STEP = 10  # seconds between prices
DAY = 86_400 // STEP  # prices
YEAR = 365 * DAY


class Venue(NamedTuple):
    """The number format of an exchange."""

    name: str
    places: int  # decimals of its amounts
    timed: bool  # whether its quotes have a time


VENUES = (
    Venue("coinbase", 2, timed=True),
    Venue("kraken", 5, timed=False),
    Venue("bitstamp", 2, timed=True),
    Venue("gemini", 2, timed=False),
)


def write_csv(path: Path, count: int) -> int:
    """Write prices as `btc-price-tracker export` does; returns the last id, which is a moment ago."""
    generator = random.Random(2009)
    first = (int(time.time()) // STEP - count) * STEP
    cents, milliseconds = 6_942_025, generator.randrange(1000)
    with path.open("w") as file:
        file.write("id,price,status,sources,spread,age,method\n")
        for number in range(count):
            cents = max(100_000, cents + round(generator.gauss(0, 800)))
            tick_id = (first + number * STEP) * 1000 + milliseconds
            dollars, remainder = divmod(cents, 100)
            file.write(f"{tick_id},{dollars}.{remainder:02},ok,5,{number % 9}.10,0,vote3-ped/1\n")
    return tick_id


def with_quotes(count: int, first: int) -> Iterator[Tick]:
    """Ticks with quotes of four exchanges and an aggregator, each in its own number format."""
    generator = random.Random(2010)
    cents = 6_942_025
    for number in range(count):
        cents += round(generator.gauss(0, 800))
        tick_id = first + number * STEP * 1000 + generator.randrange(100)
        quotes = [_exchange(generator, tick_id, cents, venue) for venue in VENUES]
        aggregate = AssessedQuote(
            "coingecko",
            Kind.AGGREGATOR,
            last=Decimal(cents // 100),
            time=tick_id // 1000 * 1000 - generator.randrange(60) * 1000,
            age=generator.randrange(60_000),
            reason="aggregators only referee",
        )
        price = Decimal(cents).scaleb(-2)
        yield Tick(
            tick_id,
            price,
            Status.OK,
            4,
            Decimal(generator.randrange(900)).scaleb(-2),
            0,
            "vote3-ped/1",
            (*quotes, aggregate),
        )


def _exchange(generator: random.Random, tick_id: int, cents: int, venue: Venue) -> AssessedQuote:
    last = cents + round(generator.gauss(0, 1500))
    half = generator.randrange(1, 800)

    def amount(cents: int) -> Decimal:
        return Decimal(cents * 10 ** (venue.places - 2)).scaleb(-venue.places)

    age = generator.randrange(3000)
    return AssessedQuote(
        venue.name,
        Kind.EXCHANGE,
        last=amount(last),
        bid=amount(last - half),
        ask=amount(last + half),
        time=tick_id - age if venue.timed else None,
        age=age,
        price=Decimal(last).scaleb(-2),
        confidence=Decimal(half).scaleb(-2),
        used=True,
    )
