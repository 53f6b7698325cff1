"""Ticker → the body of a source's answer: field names, numbers or strings, decimals as the source has them.

The formats: recorded bodies of each API and its documentation. Prices are never rounded, except by
CoinGecko's answer without `precision`, which is whole dollars.
"""

from datetime import UTC, datetime
from decimal import Decimal

from msgspec.json import Encoder

from btc_price_tracker.playback.market import Ticker

# Exact: the digits of the Decimal become the digits of the number.
_json = Encoder(decimal_format="number").encode

HOUR = 3_600_000  # ms


def coinbase(ticker: Ticker) -> bytes:
    """GET /products/BTC-USD/ticker, or USDT-USD; the time is the last trade's, to the microsecond."""
    time = _moment(ticker.time).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return _json(
        {"price": _plain(ticker.last), "bid": _plain(ticker.bid), "ask": _plain(ticker.ask), "time": time}
    )


def kraken_btc(ticker: Ticker) -> bytes:
    """GET /0/public/Ticker?pair=XBTUSD; the answer's key is the long name, whatever alias was requested."""
    return _kraken("XXBTZUSD", ticker)


def kraken_tether(ticker: Ticker) -> bytes:
    """GET /0/public/Ticker?pair=USDTZUSD."""
    return _kraken("USDTZUSD", ticker)


def _kraken(pair: str, ticker: Ticker) -> bytes:
    last, bid, ask = (_fixed(price, 5) for price in (ticker.last, ticker.bid, ticker.ask))
    row = {"a": [ask, "0", "0.000"], "b": [bid, "0", "0.000"], "c": [last, "0.00000000"]}
    return _json({"error": [], "result": {pair: row}})


def bitstamp(ticker: Ticker) -> bytes:
    """GET /api/v2/ticker/btcusd/; seconds, as a string."""
    return _json(
        {
            "last": _plain(ticker.last),
            "timestamp": str(ticker.time // 1000),
            "bid": _plain(ticker.bid),
            "ask": _plain(ticker.ask),
        }
    )


def gemini(ticker: Ticker) -> bytes:
    """GET /v1/pubticker/btcusd; the only time is the hour that the volume belongs to."""
    volume = {"BTC": "0", "USD": "0", "timestamp": ticker.time // HOUR * HOUR}
    return _json(
        {"bid": _plain(ticker.bid), "ask": _plain(ticker.ask), "volume": volume, "last": _plain(ticker.last)}
    )


def binance(ticker: Ticker) -> bytes:
    """GET /api/v3/ticker/24hr?symbol=BTCUSDT."""
    return _binance("BTCUSDT", ticker, places=8)


def binanceus(ticker: Ticker) -> bytes:
    """GET /api/v3/ticker/24hr?symbol=BTCUSD."""
    return _binance("BTCUSD", ticker, places=2)


def _binance(symbol: str, ticker: Ticker, places: int) -> bytes:
    return _json(
        {
            "symbol": symbol,
            "lastPrice": _fixed(ticker.last, places),
            "bidPrice": _fixed(ticker.bid, places),
            "askPrice": _fixed(ticker.ask, places),
            "closeTime": ticker.time,
        }
    )


def bitfinex(ticker: Ticker) -> bytes:
    """GET /v2/ticker/tBTCUSD: bid, size, ask, size, change, relative change, last, volume, high, low."""
    return _json([ticker.bid, 0, ticker.ask, 0, 0, 0, ticker.last, 0, ticker.last, ticker.last])


def okx(ticker: Ticker) -> bytes:
    """GET /api/v5/market/ticker?instId=BTC-USDT; milliseconds, as a string."""
    row = {
        "instType": "SPOT",
        "instId": "BTC-USDT",
        "last": _plain(ticker.last),
        "askPx": _plain(ticker.ask),
        "bidPx": _plain(ticker.bid),
        "ts": str(ticker.time),
    }
    return _json({"code": "0", "msg": "", "data": [row]})


def coingecko(ticker: Ticker) -> bytes:
    """GET /api/v3/simple/price with include_last_updated_at and precision; seconds."""
    return _json({"bitcoin": {"usd": ticker.last, "last_updated_at": ticker.time // 1000}})


def coingecko_bare(ticker: Ticker) -> bytes:
    """GET /api/v3/simple/price without them: whole dollars and no time."""
    return _json({"bitcoin": {"usd": ticker.last.quantize(Decimal(1))}})


def coinpaprika(ticker: Ticker) -> bytes:
    """GET /v1/tickers/btc-bitcoin."""
    return _json(
        {
            "id": "btc-bitcoin",
            "name": "Bitcoin",
            "symbol": "BTC",
            "rank": 1,
            "last_updated": _moment(ticker.time).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "quotes": {"USD": {"price": ticker.last}},
        }
    )


def blockchain_info(ticker: Ticker) -> bytes:
    """GET /ticker; all four prices of a row are one and the same."""
    price = ticker.last
    return _json({"USD": {"15m": price, "last": price, "buy": price, "sell": price, "symbol": "USD"}})


def _plain(price: Decimal) -> str:
    return format(price, "f")


def _fixed(price: Decimal, places: int) -> str:
    """At least this many decimals; more where the price has more."""
    return format(price, f".{places}f") if -_exponent(price) < places else _plain(price)


def _exponent(price: Decimal) -> int:
    return int(price.as_tuple().exponent)


def _moment(ms: int) -> datetime:
    """The moment, exact to the millisecond."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
