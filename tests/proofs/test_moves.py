"""Two years of history through import and export: every store ends with the same prices and the same candles."""

import io
import random
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal

import pytest

from btc_price_tracker.price.candles import INTERVALS, roll_up
from btc_price_tracker.price.model import AssessedQuote, Kind, Status, Tick
from btc_price_tracker.store import Store, open_store
from btc_price_tracker.store.export import export, import_ticks
from btc_price_tracker.store.memory import MemoryStore

STORES = {
    "memory": 70,
    "sqlite": 70,
    "postgresql": 70,
    "mongodb": 6,
}  # spells; mongoeco takes seconds for hundreds
START = 1_700_000_000  # seconds; 2023-11-14
TWO_YEARS = 730 * 86400
NOW = (START + 2 * TWO_YEARS) * 1000  # ms
SEED = 20261122
SLICE, OVERLAP = 130, 30  # prices in a file, and how many of them are in the next one as well


def history(spells: int) -> list[Tick]:
    """Spells of an hour or two, each price up to two minutes after the last; between them, nothing."""
    chance = random.Random(SEED)
    ticks, cents = [], 3_700_000
    for spell in sorted(chance.sample(range(TWO_YEARS // 60), spells)):
        at = (START + spell * 60) * 1000 + chance.randrange(60_000)
        for _ in range(chance.randint(40, 120)):
            at += chance.choice([1, 1000, 10_000, 60_000, 120_000])
            cents = max(100, cents + round(chance.gauss(0, 5000)))
            ticks.append(a_price(chance, at, cents))
    return sorted({tick.id: tick for tick in ticks}.values(), key=lambda tick: tick.id)


def a_price(chance: random.Random, tick_id: int, cents: int) -> Tick:
    price = Decimal(cents).scaleb(-2)
    status = chance.choice([*Status, Status.OK, Status.OK])
    quote = AssessedQuote(
        "kraken", Kind.EXCHANGE, last=price, time=tick_id - chance.randrange(9000), used=True
    )
    quotes = (quote,) if chance.random() < 0.1 else ()
    spread = Decimal(chance.randrange(2000)).scaleb(-2)
    return Tick(
        tick_id, price, status, chance.randrange(6), spread, chance.randrange(60), "vote3-ped/1", quotes
    )


async def exported(store: Store, form: str) -> str:
    file = io.StringIO()
    await export(store, file, form)
    return file.getvalue()


async def as_file(ticks: Iterable[Tick], form: str) -> io.StringIO:
    store = MemoryStore(100_000)
    await store.append(list(ticks))
    return io.StringIO(await exported(store, form))


async def take_in_disorder(store: Store, ticks: list[Tick]) -> None:
    """Import slices in any order, as overlapping files of either form; the second half of them offered twice.

    What is offered again has another price, so that it shows which one was kept.
    """
    chance = random.Random(SEED)
    slices = [ticks[start : start + SLICE] for start in range(0, len(ticks), SLICE - OVERLAP)]
    chance.shuffle(slices)
    kept: set[int] = set()
    for number, part in enumerate(slices):
        new = [tick for tick in part if tick.id not in kept]
        again = [Tick(tick.id, Decimal("1.00"), *ANOTHER) for tick in part if tick.id in kept]
        kept.update(tick.id for tick in part)
        await import_ticks(store, await as_file([*new, *again], "jsonl"), "jsonl", NOW)
        if number % 2:
            repeated = [Tick(tick.id, Decimal("2.00"), *ANOTHER) for tick in part]
            await import_ticks(store, await as_file(repeated, "csv"), "csv", NOW)


ANOTHER = (Status.OK, 1, Decimal("0.00"), 0, "another/1")


@pytest.mark.parametrize("kind", STORES)
async def test_every_store_ends_with_the_same_prices_and_candles(
    kind: str, new_store_url: Callable[[str], Awaitable[str]]
) -> None:
    ticks = history(STORES[kind])
    store = await open_store(await new_store_url(kind), capacity=100_000)
    try:
        await take_in_disorder(store, ticks)
        for form in ("csv", "jsonl"):
            assert await exported(store, form) == (await as_file(ticks, form)).getvalue()
        for seconds in INTERVALS.values():
            candles = await store.candles(seconds, 0, START + 2 * TWO_YEARS, 100_000)
            assert candles == list(roll_up(ticks, seconds))
    finally:
        await store.close()


@pytest.mark.parametrize("kind", STORES)
async def test_export_imports_completely_into_every_store(
    kind: str, new_store_url: Callable[[str], Awaitable[str]]
) -> None:
    """From each kind into SQLite and on to memory."""
    ticks = history(4)
    source = await open_store(await new_store_url(kind), capacity=100_000)
    await source.append(ticks)
    target = MemoryStore(100_000)
    await import_ticks(target, io.StringIO(await exported(source, "jsonl")), "jsonl", NOW)
    assert target.held() == ticks
    await source.close()
