"""The parts of the benchmark: each measures, prints its table, and hands back the figures that have a target."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from measures import Crowd, FanOut, at_rest, cost_of_a_price, crowd, fan_out
from subjects import Subject
from table import Figure, section


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    streams: int
    fewer: int  # streams for the rival, so that it keeps up on a busy machine, too
    sizes: tuple[int, ...]  # other numbers of streams: the cost should be flat over them
    rounds: int
    seconds: float  # of each fan-out
    idle: float  # seconds at rest
    starts: int
    limit: float  # seconds for everything


@dataclass(frozen=True)
class Subjects:
    """Who is measured."""

    floor: Subject
    ours: Subject
    rival: Subject
    as_shipped: Subject


class Round(NamedTuple):
    """The servers one after the other, within the same minute."""

    floor: FanOut
    ours: FanOut
    rival: FanOut


async def rest(plan: Plan, subjects: Subjects) -> list[Figure]:
    it = await at_rest(subjects.as_shipped, plan.idle, plan.starts)
    return [
        Figure("ready: start to 200 on /healthz", it.ready, 1.5, "s"),
        Figure("--help", it.help, 0.4, "s"),
        Figure("CPU with no client", it.idle * 100, 1, "%"),
        Figure("memory with no client", it.mib, 80, "MiB"),
    ]


async def crowds(plan: Plan, subjects: Subjects) -> list[Figure]:
    rounds = [
        (
            await crowd(subjects.floor, plan.streams),
            await crowd(subjects.ours, plan.streams, newcomers=100),
            await crowd(subjects.rival, plan.fewer),
        )
        for _ in range(plan.rounds)
    ]
    least, it, most = map(_typical, zip(*rounds, strict=True))
    named = ((subjects.floor, least), (subjects.ours, it), (subjects.rival, most))
    section(
        f"{plan.streams} streams open and are idle ({plan.fewer} of the last server, so that it keeps up): "
        f"medians of {plan.rounds} alternating rounds",
        ["server", "µs CPU per connect", "KiB per stream"],
        [[subject.name, f"{each.connect:.0f}", f"{each.kib:.2f}"] for subject, each in named],
    )
    return [
        Figure("CPU per connect", it.connect, 250, "µs"),
        Figure("memory per open stream", it.kib, 0.6, "KiB"),
        Figure(f"first price of a new stream, {plan.streams} idle", it.first_price, 20, "ms"),
    ]


def _typical(crowds: Sequence[Crowd]) -> Crowd:
    return Crowd(
        kib=median(each.kib for each in crowds),
        connect=median(each.connect for each in crowds),
        first_price=median(each.first_price for each in crowds),
    )


async def delivery(plan: Plan, subjects: Subjects) -> list[Figure]:
    rounds = [await one_round(plan, subjects) for _ in range(plan.rounds)]
    section(
        f"{plan.streams} streams ({plan.fewer} of the last server), one price a second: "
        f"medians of {plan.rounds} alternating rounds",
        [
            "server",
            "µs CPU per event",
            "of that user",
            "× the floor",
            "first to last client",
            "every price to all",
        ],
        [
            compared(subjects.floor.name, rounds, lambda each: each.floor),
            compared(subjects.ours.name, rounds, lambda each: each.ours),
            compared(subjects.rival.name, rounds, lambda each: each.rival),
        ],
    )
    by_floor = median(each.ours.microseconds / each.floor.microseconds for each in rounds)
    by_rival = median(each.ours.microseconds / each.rival.microseconds for each in rounds)
    return [
        Figure("CPU per event, by the floor's", by_floor, 1.10, "×"),
        Figure("CPU per event, by sse-starlette's", by_rival, 0.3, "×"),
    ]


async def one_round(plan: Plan, subjects: Subjects) -> Round:
    return Round(
        await fan_out(subjects.floor, plan.streams, plan.seconds),
        await fan_out(subjects.ours, plan.streams, plan.seconds),
        await fan_out(subjects.rival, plan.fewer, plan.seconds),
    )


def compared(name: str, rounds: Sequence[Round], of: Callable[[Round], FanOut]) -> list[str]:
    """One server's row; its ratio to the floor is taken within each round."""
    column = [of(each) for each in rounds]
    return [
        name,
        f"{median(each.microseconds for each in column):.2f}",
        f"{median(each.user for each in column):.2f}",
        f"{median(of(each).microseconds / each.floor.microseconds for each in rounds):.2f}",
        f"{median(each.spread for each in column):.0f} ms",
        "yes" if all(each.complete for each in column) else "no",
    ]


async def flatness(plan: Plan, subjects: Subjects) -> list[Figure]:
    """A price costs the same however many listen: asking three sources. What each stream adds should be flat."""
    prices: list[float] = []
    least: dict[int, list[float]] = {streams: [] for streams in plan.sizes}
    whole: dict[int, list[float]] = {streams: [] for streams in plan.sizes}
    for _ in range(plan.rounds):
        prices.append(await cost_of_a_price(subjects.ours, plan.seconds))
        for streams in plan.sizes:
            least[streams].append((await fan_out(subjects.floor, streams, plan.seconds)).microseconds)
            whole[streams].append((await fan_out(subjects.ours, streams, plan.seconds)).microseconds)
    price = median(prices)
    added = {streams: median(whole[streams]) - price * 1000 / streams for streams in plan.sizes}
    section(
        f"µs CPU per event by the number of streams, medians of {plan.rounds} alternating rounds "
        f"(a price costs {price:.1f} ms where nobody listens)",
        ["streams", "C floor", "btc-price-tracker", "without the price itself"],
        [
            [str(n), f"{median(least[n]):.2f}", f"{median(whole[n]):.2f}", f"{added[n]:.2f}"]
            for n in plan.sizes
        ],
    )
    spread = (max(added.values()) / min(added.values()) - 1) * 100
    return [Figure(f"flat from {min(plan.sizes)} to {max(plan.sizes)} streams, within", spread, 15, "%")]
