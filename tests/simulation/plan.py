"""What happens in one history, drawn from a seed."""

import random
from dataclasses import dataclass
from enum import StrEnum

AHEAD = 14  # seconds: two clocks differ by less than PEER_WAIT


class Kind(StrEnum):
    """A fault. Those that last end after `seconds`."""

    KILL = "kill"  # an instance dies at once, and starts again after `seconds`
    STOP = "stop"  # it is stopped cleanly, and starts again
    SUSPEND = "suspend"  # SIGSTOP and SIGCONT
    CUT = "cut"  # no byte between an instance and the broker
    SLOW = "slow"  # what travels between them takes seconds
    LOSSY = "lossy"  # answers of the broker to an instance are lost, and its requests arrive twice
    CLOCK = "clock"  # the wall clock of an instance is stepped to `seconds` from true time
    BROKER_DOWN = "broker down"  # the broker is restarted, with its memory
    BROKER_LOSS = "broker loss"  # … without its memory
    STORE_FAILS = "store fails"  # every operation fails, sometimes after it took effect
    STORE_SLOW = "store slow"  # for longer than the outbox waits
    MOVE = "move"  # a client is disconnected and resumes at another instance


@dataclass(frozen=True, slots=True)
class Fault:
    """`at` and `seconds` are seconds, `target` is the number of an instance or client."""

    at: float
    kind: Kind
    target: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A history: faults, then quiet in which everything must recover. `seed` decides latencies and jitter."""

    seed: int
    interval: float
    instances: int
    clients: int
    faults: tuple[Fault, ...]
    troubled: float = 60.0  # seconds; every fault has ended by then


def plan(seed: int) -> Plan:
    """The history of a seed: mostly few faults, close together."""
    chance = random.Random(seed)
    troubled = 60.0
    faults = sorted(
        (_fault(chance, troubled) for _ in range(chance.randint(1, 8))),
        key=lambda fault: fault.at,
    )
    interval = chance.choice([2.0, 5.0, 5.0, 10.0])
    return Plan(seed, interval, chance.choice([2, 3, 3]), chance.randint(2, 3), tuple(faults), troubled)


def _fault(chance: random.Random, troubled: float) -> Fault:
    at = chance.uniform(2, troubled - 5)
    kind = chance.choice(list(Kind))
    if kind is Kind.CLOCK:
        return Fault(at, kind, chance.randrange(6), chance.choice([-AHEAD, -3, 3, AHEAD]))
    return Fault(at, kind, chance.randrange(6), min(chance.choice([0.5, 4, 8, 20, 40]), troubled - at))
