"""The venues as a table: which paths they answer, with what head, and how each refuses a request."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import parse_qsl

from msgspec import Struct

from btc_price_tracker.playback import bodies
from btc_price_tracker.playback.market import TETHER, TETHER_COINBASE, Ticker

JSON: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})
JSON_UTF8 = {"Content-Type": "application/json; charset=utf-8"}
UNCACHED = {
    "Content-Type": "application/json;charset=utf-8",
    "Cache-Control": "no-cache, no-store, must-revalidate",
}


class Response(Struct, frozen=True):
    """A whole answer, before it goes over the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Endpoint(Struct, frozen=True):
    """A path that gives a price, the parameters it needs (None: any value), and whose price it is."""

    path: str
    body: Callable[[Ticker], bytes]
    ticker: str  # its name in the market
    query: Mapping[str, str | None] = {}

    def answers(self, path: str, query: Mapping[str, str]) -> bool:
        """Whether the request is for this endpoint; a slash at the end makes no difference."""
        return path.rstrip("/") == self.path and all(
            name in query and wanted in (None, query[name]) for name, wanted in self.query.items()
        )


class Venue(Struct, frozen=True):
    """One public API: its endpoints, its usual headers, and the bodies with which it refuses."""

    endpoints: tuple[Endpoint, ...]
    down: bytes  # with 503: while it is silent
    unknown: bytes  # with 404: a path it doesn't have
    # For a right path with other parameters, where that is another answer.
    unlisted: tuple[int, bytes] | None = None
    headers: Mapping[str, str] = JSON
    cached: bool = False  # a CDN in front tells the age of the answer

    def answer(self, target: str, ticker: Callable[[str], Ticker | None], now: int) -> Response:
        """What this venue answers to a GET of this path and query at `now` (ms)."""
        path, _, parameters = target.partition("?")
        query = dict(parse_qsl(parameters))
        for endpoint in self.endpoints:
            if endpoint.answers(path, query):
                return self._price(endpoint, ticker(endpoint.ticker), now)
        status, body = self._refusal(path)
        return Response(status, self.headers, body)

    def _price(self, endpoint: Endpoint, ticker: Ticker | None, now: int) -> Response:
        if ticker is None:
            return Response(503, self.headers, self.down)
        age = {"Age": str(max(now - ticker.time, 0) // 1000)} if self.cached else {}
        return Response(200, {**self.headers, **age}, endpoint.body(ticker))

    def _refusal(self, path: str) -> tuple[int, bytes]:
        known = any(path.rstrip("/") == endpoint.path for endpoint in self.endpoints)
        return self.unlisted if known and self.unlisted else (404, self.unknown)


def _kraken_pair(alias: str, body: Callable[[Ticker], bytes], ticker: str) -> Endpoint:
    return Endpoint("/0/public/Ticker", body, ticker, {"pair": alias})


_BINANCE_DOWN = b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'
_BINANCE_UNKNOWN = b'{"code":-1000,"msg":"Not Found"}'
_BINANCE_UNLISTED = (400, b'{"code":-1121,"msg":"Invalid symbol."}')

VENUES: Mapping[str, Venue] = {
    "coingecko": Venue(
        (
            Endpoint(
                "/api/v3/simple/price",
                bodies.coingecko,
                "coingecko",
                {
                    "ids": "bitcoin",
                    "vs_currencies": "usd",
                    "include_last_updated_at": "true",
                    "precision": None,
                },
            ),
            Endpoint(
                "/api/v3/simple/price",
                bodies.coingecko_bare,
                "coingecko",
                {"ids": "bitcoin", "vs_currencies": "usd"},
            ),
        ),
        down=b'{"status":{"error_code":503,"error_message":"Service Unavailable"}}',
        unknown=b'{"error":"Incorrect path. Please check https://www.coingecko.com/api/"}',
        unlisted=(422, b'{"error":"Missing parameter ids"}'),
        headers={**JSON_UTF8, "Cache-Control": "public, max-age=30", "Cf-Cache-Status": "HIT"},
        cached=True,
    ),
    "coinbase": Venue(
        (
            Endpoint("/products/BTC-USD/ticker", bodies.coinbase, "coinbase"),
            Endpoint("/products/USDT-USD/ticker", bodies.coinbase, TETHER_COINBASE),
        ),
        down=b'{"message":"Service under maintenance"}',
        unknown=b'{"message":"NotFound"}',
        headers={**JSON_UTF8, "Cache-Control": "public, max-age=1"},
    ),
    "kraken": Venue(
        (
            *(_kraken_pair(alias, bodies.kraken_btc, "kraken") for alias in ("XBTUSD", "XXBTZUSD", "BTCUSD")),
            *(_kraken_pair(alias, bodies.kraken_tether, TETHER) for alias in ("USDTZUSD", "USDTUSD")),
        ),
        down=b'{"error":["EService:Unavailable"]}',
        unknown=b'{"error":["EGeneral:Unknown method"]}',
        unlisted=(200, b'{"error":["EQuery:Unknown asset pair"]}'),
        headers={**JSON_UTF8, "Cache-Control": "public,max-age=1"},
    ),
    "bitstamp": Venue(
        (Endpoint("/api/v2/ticker/btcusd", bodies.bitstamp, "bitstamp"),),
        down=b'{"error":"Bitstamp.net is under scheduled maintenance. We\'ll be back soon."}',
        unknown=b'{"status":"error","reason":"Not found","code":"404.002"}',
    ),
    "gemini": Venue(
        (Endpoint("/v1/pubticker/btcusd", bodies.gemini, "gemini"),),
        down=b'{"result":"error","reason":"Maintenance","message":"The exchange is under maintenance"}',
        unknown=b'{"result":"error","reason":"EndpointNotFound","message":"API entry point not found"}',
    ),
    "binance": Venue(
        (Endpoint("/api/v3/ticker/24hr", bodies.binance, "binance", {"symbol": "BTCUSDT"}),),
        down=_BINANCE_DOWN,
        unknown=_BINANCE_UNKNOWN,
        unlisted=_BINANCE_UNLISTED,
        headers=UNCACHED,
    ),
    "binanceus": Venue(
        (Endpoint("/api/v3/ticker/24hr", bodies.binanceus, "binanceus", {"symbol": "BTCUSD"}),),
        down=_BINANCE_DOWN,
        unknown=_BINANCE_UNKNOWN,
        unlisted=_BINANCE_UNLISTED,
        headers=UNCACHED,
    ),
    "bitfinex": Venue(
        (Endpoint("/v2/ticker/tBTCUSD", bodies.bitfinex, "bitfinex"),),
        down=b'["error",20060,"maintenance"]',
        unknown=b'["error",null,"Not found."]',
        headers=JSON_UTF8,
    ),
    "okx": Venue(
        (Endpoint("/api/v5/market/ticker", bodies.okx, "okx", {"instId": "BTC-USDT"}),),
        down=b'{"code":"50001","msg":"Service temporarily unavailable. Try again later.","data":[]}',
        unknown=b'{"code":404,"data":{},"detailMsg":"","error_code":"404","msg":"Not Found"}',
        unlisted=(200, b'{"code":"51001","msg":"Instrument ID does not exist.","data":[]}'),
    ),
    "coinpaprika": Venue(
        (Endpoint("/v1/tickers/btc-bitcoin", bodies.coinpaprika, "coinpaprika"),),
        down=b'{"error":"service unavailable"}',
        unknown=b'{"error":"id not found"}',
    ),
    "blockchain_info": Venue(
        (Endpoint("/ticker", bodies.blockchain_info, "blockchain_info"),),
        down=b'{"error":"service-unavailable","message":"Service unavailable"}',
        unknown=b'{"error":"not-found","message":"Resource not found"}',
        headers={**JSON, "Cache-Control": "public; max-age=60"},
    ),
}
