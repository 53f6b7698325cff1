"""Examples of every response for the OpenAPI document, made with the types that the routes use."""

from msgspec.json import decode

from btc_price_tracker import __version__
from btc_price_tracker.fanout import sse
from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.web.api.readiness import Check, Checks, CheckStatus, DescriptorCheck, Readiness
from btc_price_tracker.web.api.views import (
    CandleView,
    Liveness,
    PriceView,
    Provenance,
    SourcesView,
)

_TICK = decode(
    """{"id":1764000000123,"price":69420.25,"status":"ok","sources":3,"spread":4.10,"quote_age":120,
    "method":"vote3-ped/2",
    "quotes":[
      {"source":"coinbase","kind":"exchange","last":69420.26,"bid":69420.24,"ask":69420.26,"time":1763999999600,
       "age":523,"price":69420.2500,"interval":7.0630,"used":true},
      {"source":"kraken","kind":"exchange","last":69423.40,"bid":69423.30,"ask":69423.40,
       "age":120,"price":69423.3500,"interval":6.9701,"used":true},
      {"source":"bitstamp","kind":"exchange","last":69417,"bid":69415.65,"ask":69416.65,"time":1763999999000,
       "age":1123,"price":69416.1500,"interval":7.2015,"used":true}
    ]}""",
    type=Tick,
)
_SOURCES = decode(
    """{"timestamp":1764000000,"recorded":false,"origin":null,"status":"ok","reason":"3 exchanges agree.",
    "price":69420.25,"interval":10,"heartbeat":15,
    "store":{"fault":null,"waiting":0,"lost":0},
    "broker":{"instance":"host:8082:4f2a","leader":"host:8082:4f2a","term":1,"age":0.5,"fault":null},
    "sources":[
      {"name":"coinbase","kind":"exchange","state":"ok","price":69420.2500,"last":69420.26,"bid":69420.24,
       "ask":69420.26,"time_ms":1763999999600,"age":0.523,"deviation_bp":0.0,"latency_ms":83.4,"used":true,
       "reason":null,"next_try_s":0.0,"error":null}
    ]}""",
    type=SourcesView,
)
_CANDLE = decode(
    """{"timestamp":1763996400,"open":69380.00,"high":69444.10,"low":69321.75,"close":69420.25,"count":360,
    "final":true}""",
    type=CandleView,
)
_LATEST = PriceView.of(_TICK)
_STREAM = sse.with_retry(3170, sse.status(_TICK.status, _SOURCES.reason, _TICK.timestamp)) + sse.price(_TICK)
_CSV = (
    "id,timestamp,price,status,sources,spread,age,quote_age,method,pair,recorded\r\n"
    f"{_TICK.id},{_TICK.timestamp},{_TICK.price},ok,3,{_TICK.spread},0,120,{_TICK.method},BTC/USD,false\r\n"
)
_METRICS = (
    "# HELP btc_price_dollars The last price published.\n"
    "# TYPE btc_price_dollars gauge\n"
    f"btc_price_dollars {_TICK.price}\n"
)


def _checks(price: str | None) -> Checks:
    """Every check, the price with a reason for failing or none."""
    working = Check(CheckStatus.OK, 0.4, None)
    return Checks(
        price=working if price is None else Check(CheckStatus.FAILING, 31.2, price),
        store=working,
        broker=working,
        canary=working,
        descriptors=DescriptorCheck(CheckStatus.OK, 0.0, None, 1_074, 1_048_576),
    )


# By path and status, then by media type.
EXAMPLES: dict[tuple[str, str], dict[str, object]] = {
    ("/prices/stream", "200"): {"text/event-stream": b"".join(sse.unchunk(_STREAM)).decode()},
    ("/prices/latest", "200"): {"application/json": _LATEST},
    ("/prices", "200"): {"application/json": [_LATEST], "text/csv": _CSV},
    ("/prices/candles", "200"): {"application/json": [_CANDLE]},
    ("/prices/next", "200"): {"application/json": _LATEST},
    ("/prices/hours/{hour}", "200"): {"application/json": [_LATEST]},
    ("/prices/{id}", "200"): {"application/json": Provenance.of(_TICK)},
    ("/sources", "200"): {"application/json": _SOURCES},
    ("/healthz", "200"): {"application/json": Liveness(alive=True, version=__version__, lag_ms=2)},
    ("/healthz", "503"): {"application/json": Liveness(alive=False, version=__version__, lag_ms=11_700)},
    ("/readyz", "200"): {"application/json": Readiness(True, Status.OK, [], _checks(None))},
    ("/readyz", "503"): {
        "application/json": Readiness(
            False, Status.STALE, ["No source is usable."], _checks("No source is usable.")
        )
    },
    ("/metrics", "200"): {"text/plain": _METRICS, "application/openmetrics-text": f"{_METRICS}# EOF\n"},
}
