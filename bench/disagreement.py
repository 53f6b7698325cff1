"""How far prices stray on real days, by our rule and by what others do.

    python bench/disagreement.py [closes.csv.gz]     (without a file: the 24 hours that ship with the package)

Each minute's closes of Coinbase, Kraken and Binance.US BTC/USD are one round (INTERVAL=60). They are last trades and
bear no bid and ask. Two questions: how far is the published price from the median of the three venues; and with one
of the three lying by 4.9 % (each in turn, up and down), how far is it from what the same rule says without the lie?
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import product
from pathlib import Path
from statistics import fmean, median, pstdev

from btc_price_tracker.playback.recording import COLUMNS, load, packaged
from btc_price_tracker.price.consensus import Consensus
from btc_price_tracker.price.model import Answer, Kind, Quote
from btc_price_tracker.price.recompute import recompute

VENUES = ("coinbase", "kraken", "binanceus")
LIES = (Decimal("1.049"), Decimal("0.951"))
MINUTE = 60_000  # ms

Closes = Mapping[str, Decimal | None]
Rule = Callable[[Closes], float]  # remembers what it must from minute to minute


def heard(closes: Closes) -> list[float]:
    return [float(close) for close in closes.values() if close is not None]


def single_source() -> Rule:
    """The first venue alone; while it is silent, it repeats itself."""
    last = float("nan")

    def rule(closes: Closes) -> float:
        nonlocal last
        first = next(iter(closes.values()))
        last = last if first is None else float(first)
        return last

    return rule


def inliers_mean(closes: Closes) -> float:
    """Bisq: the mean of those within 1.1 standard deviations of the mean of all."""
    prices = heard(closes)
    middle, reach = fmean(prices), 1.1 * pstdev(prices)
    return fmean([price for price in prices if abs(price - middle) <= reach] or prices)


class Ours:
    """Our rule, played minute by minute; counts what must never happen."""

    def __init__(self) -> None:
        self.policy = Consensus(MINUTE / 1000)
        self.now = 0
        self.counts: Counter[str] = Counter()

    def __call__(self, closes: Closes) -> float:
        self.now += MINUTE
        update = self.policy.decide([self._answer(*close) for close in closes.items()], self.now)
        self.counts[update.status] += 1
        self.counts["ok with fewer than three"] += update.status == "ok" and len(heard(closes)) < 3
        if update.tick is None:
            return float("nan")
        again = recompute(update.tick)
        self.counts["recomputed"] += again == (update.tick.price, update.tick.spread)
        return float(update.tick.price)

    def _answer(self, venue: str, close: Decimal | None) -> Answer:
        quote = None if close is None else Quote(close, time=self.now)
        return Answer(
            venue, Kind.EXCHANGE, quote=quote, received_at=self.now, fault=None if quote else "no trade"
        )


RULES: Mapping[str, Callable[[], Rule]] = {
    "single source": single_source,
    "plain mean": lambda: lambda closes: fmean(heard(closes)),
    "mean after 1.1 sigma (Bisq)": lambda: inliers_mean,
    "plain median (mempool)": lambda: lambda closes: median(heard(closes)),
    "**vote3-ped/1 (ours)**": Ours,
}


def read(path: Path | None) -> list[Closes]:
    columns = {venue: COLUMNS[venue] for venue in VENUES}
    table = packaged() if path is None else load(path, columns)
    return [{venue: table.prices[venue][minute] for venue in VENUES} for minute in range(table.minutes)]


def lied(closes: Closes, liar: str, factor: Decimal) -> Closes:
    return {venue: close * factor if close and venue == liar else close for venue, close in closes.items()}


def basis_points(price: float, reference: float) -> float:
    return abs(price / reference - 1) * 1e4


def quantile(values: Sequence[float], part: float) -> float:
    return sorted(values)[round(part * (len(values) - 1))]


def straying(make: Callable[[], Rule], minutes: Sequence[Closes]) -> tuple[list[float], list[list[float]]]:
    """Basis points from the venues' median, and for each lie from the price without it where all three speak."""
    rule = make()
    honest = [rule(closes) for closes in minutes]
    if isinstance(rule, Ours):
        print(f"{len(minutes)} minutes: {dict(rule.counts)}\n", flush=True)
    from_median = [
        basis_points(price, median(heard(closes))) for price, closes in zip(honest, minutes, strict=True)
    ]
    lies = []
    for liar, factor in product(VENUES, LIES):
        rule = make()
        prices = [rule(lied(closes, liar, factor)) for closes in minutes]
        rounds = zip(prices, honest, minutes, strict=True)
        lies.append([basis_points(price, true) for price, true, closes in rounds if len(heard(closes)) == 3])
    return from_median, lies


def main(path: Path | None) -> None:
    minutes = read(path)
    results = {name: straying(make, minutes) for name, make in RULES.items()}
    print(
        "| bp | from the venues' median: p99 | worst | one of three lies, all six cases: p95 | p99 | worst |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for name, (plain, lies) in results.items():
        pooled = [stray for lie in lies for stray in lie]
        figures = [
            quantile(plain, 0.99),
            max(plain),
            quantile(pooled, 0.95),
            quantile(pooled, 0.99),
            max(pooled),
        ]
        print(f"| {name} | {' | '.join(f'{figure:.1f}' for figure in figures)} |")
    ours = results["**vote3-ped/1 (ours)**"][1]
    hardest = [max(quantile(lie, part) for lie in ours) for part in (0.95, 0.99)]
    print(f"\nOurs in the hardest of the six cases: p95 {hardest[0]:.1f}, p99 {hardest[1]:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
