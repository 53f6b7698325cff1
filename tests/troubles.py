"""What can be wrong with a source, as a table: on the wire, in what it says, or in where it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from btc_price_tracker.playback import Fault
from btc_price_tracker.price.model import Quote

HOUR = 3_600_000  # ms
MIB = 1 << 20

Said = Callable[[Quote, Quote], Quote]  # the truth now, and when the trouble began → what is said


def the_truth(now: Quote, _began: Quote) -> Quote:
    return now


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a source: on the wire, in what it says, or in where it is."""

    name: str
    shows: str  # pattern of the words in which it must show
    wire: tuple[Fault, ...] = (Fault(),)  # one a round, over and over
    bodies: Mapping[str, bytes] = field(default_factory=dict)  # in place of the source's own
    says: Said = the_truth
    url: str = ""  # instead of the playback's; {stranger} is a port that speaks HTTP, but never TLS
    needs_time: bool = False  # it is one only where an answer bears a time
    takes_all_time: bool = False  # it would last until the deadline

    def fault(self, source: str, turn: int) -> Fault:
        body = self.bodies.get(source)
        return self.wire[turn % len(self.wire)] if body is None else Fault(body=body)


def scaled(*factors: str) -> tuple[Fault, ...]:
    return tuple(Fault(scale=Decimal(factor)) for factor in factors)


def shifted(now: Quote, ms: int) -> Quote:
    return replace(now, time=(now.time or 0) + ms)


TEXT = {
    "coinbase": b'{"price":"cheap","bid":"cheap","ask":"cheap","time":"2025-11-24T16:00:00Z"}',
    "kraken": b'{"error":[],"result":{"XXBTZUSD":{"a":["cheap"],"b":["cheap"],"c":["cheap"]}}}',
    "bitstamp": b'{"last":"cheap","bid":"cheap","ask":"cheap","timestamp":"1764000000"}',
    "gemini": b'{"last":"cheap","bid":"cheap","ask":"cheap"}',
    "binanceus": b'{"symbol":"BTCUSD","lastPrice":"cheap","bidPrice":"cheap","askPrice":"cheap"}',
    "coingecko": b'{"bitcoin":{"usd":"cheap"}}',
}

TROUBLES = [
    Trouble("price x 10", "excluded", scaled("10")),
    Trouble("price / 10", "excluded", scaled("0.1")),
    Trouble("+4.9 %", "excluded", scaled("1.049")),
    Trouble("-4.9 %", "excluded", scaled("0.951")),
    Trouble("5.1 % up and down", "excluded", scaled("1.051", "0.949")),
    Trouble("4.9 and 5.1 %", "excluded", scaled("1.049", "1.051")),
    Trouble("5.1 % and back", "excluded", scaled("1.051", "1")),
    Trouble("negative", "not a plain positive number", scaled("-1")),
    Trouble("a text", "not a plain positive number", bodies=TEXT),
    Trouble("frozen value", "frozen|excluded", says=lambda now, was: replace(was, time=now.time)),
    Trouble("frozen altogether", "frozen|older than", says=lambda _now, was: was),
    Trouble("frozen time", "older than", says=lambda now, was: replace(now, time=was.time), needs_time=True),
    Trouble("an hour ahead", "ahead of ours", says=lambda now, _: shifted(now, HOUR), needs_time=True),
    Trouble("an hour behind", "older than", says=lambda now, _: shifted(now, -HOUR), needs_time=True),
    Trouble("empty", "not JSON", (Fault(body=b""),)),
    Trouble("HTML", "HTML", (Fault(body=b"<!DOCTYPE html><title>Just a moment...</title>"),)),
    Trouble("429, wait 30 s", "HTTP 429", (Fault(status=429, headers={"Retry-After": "30"}),)),
    Trouble("429", "HTTP 429", (Fault(status=429),)),
    Trouble("418", "HTTP 418: banned", (Fault(status=418),)),
    Trouble("451", "HTTP 451: not available", (Fault(status=451),)),
    Trouble("500", "HTTP 500", (Fault(status=500),)),
    Trouble("503", "HTTP 503", (Fault(status=503),)),
    Trouble("hang", "no complete response in time", (Fault(hang=True),), takes_all_time=True),
    Trouble("slow drip", "no complete response in time", (Fault(drip=0.05),), takes_all_time=True),
    Trouble("reset", "connection reset", (Fault(reset="head"), Fault(reset="body"))),
    Trouble("redirect loop", "HTTP 302: redirects", (Fault(status=302, headers={"Location": "/kraken"}),)),
    Trouble("10 MiB", "larger than", (Fault(flood=10 * MIB),)),
    Trouble("gzip bomb", "larger than", (Fault(bomb=8 * MIB),)),
    Trouble("length too long", "incomplete", (Fault(headers={"Content-Length": "5000"}),)),
    Trouble("length too short", "incomplete", (Fault(headers={"Content-Length": "20"}),)),
    Trouble("TLS", "TLS failed", url="https://127.0.0.1:{stranger}"),
    Trouble("DNS", "not resolved", url="http://-.invalid"),  # refused without a question to the network
]
# The last trade stands in for a book that makes no sense, so nobody is wronged and nothing needs saying.
BOOKLESS = [
    Trouble("crossed book", "", says=lambda now, _: replace(now, bid=now.ask, ask=now.bid)),
    Trouble("no ask", "", says=lambda now, _: replace(now, ask=Decimal(0))),
    Trouble("no bid", "", says=lambda now, _: replace(now, bid=Decimal(0))),
]
EVERY = [*TROUBLES, *BOOKLESS]


def named(name: str) -> Trouble:
    return next(trouble for trouble in EVERY if trouble.name == name)
