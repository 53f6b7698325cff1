"""Error bodies of each source become the right SourceError, with any HTTP status."""

from pathlib import Path

import pytest

from btc_price_tracker.errors import InvalidQuote, RateLimited, SourceError, SourceRefused
from btc_price_tracker.sources import SOURCES
from btc_price_tracker.sources.tether import TETHERS

RECORDINGS = Path(__file__).parents[1] / "recordings"
PARSERS = {**SOURCES, "tether": TETHERS["kraken"]}

RECORDED = [
    ("binance/geo_block_451.json", SourceRefused, "restricted location"),
    ("bitfinex/rate_limit_v2_429.json", RateLimited, "ratelimit: error"),
    ("bitfinex/tickers_v2_2019.json", InvalidQuote, "not an array of 10"),
    ("binanceus/ticker_24hr_all_200.json", InvalidQuote, "not an object"),
    ("coingecko/rate_limit_429.json", RateLimited, "exceeded the Rate Limit"),
    ("coingecko/simple_price_missing_ids_422.json", SourceRefused, "Missing parameter ids"),
    ("kraken/error_service_unavailable_200.json", SourceRefused, "EService:Unavailable"),
    ("kraken/error_too_many_requests_200.json", RateLimited, "Too many requests"),
    ("kraken/error_unknown_asset_pair_200.json", SourceRefused, "Unknown asset pair"),
    ("kraken/ticker_xbtusdt_built.json", InvalidQuote, "XXBTZUSD"),
    ("kraken/ticker_xxbtzeur_2014.json", InvalidQuote, "XXBTZUSD"),
    ("okx/rate_limit_50011_built.json", RateLimited, "Too Many Requests"),
]

ERRORS = [
    ("binance", '{"code":-1003,"msg":"Way too much request weight used; IP banned."}', RateLimited, "-1003"),
    ("binance", '{"code":-1121,"msg":"Invalid symbol."}', SourceRefused, "Invalid symbol"),
    ("binance", '{"symbol":"BTCUSDC","lastPrice":"9912.33"}', InvalidQuote, "'BTCUSDC', not 'BTCUSDT'"),
    ("binance", '{"symbol":"BTCUSDT","price":"9912.33"}', InvalidQuote, "lastPrice is missing"),
    ("binanceus", '{"symbol":"BTCUSDT","lastPrice":"9912.33"}', InvalidQuote, "not 'BTCUSD'"),
    ("binanceus", '{"code":-1003,"msg":"Slow down."}', RateLimited, "Slow down"),
    ("bitfinex", '{"error":"ERR_RATE_LIMIT"}', RateLimited, "ERR_RATE_LIMIT"),
    ("bitfinex", '["error",11010,""]', RateLimited, "11010"),
    ("bitfinex", '["error",20060,"maintenance"]', SourceRefused, "20060, maintenance"),
    ("bitfinex", "[]", InvalidQuote, "not an array of 10"),
    (
        "bitfinex",
        '["tBTCUSD",1,2,3,4,5,6,7,8,9]',
        InvalidQuote,
        "0 is 'tBTCUSD', not a plain positive number",
    ),
    ("bitfinex", '{"last_price":"7381.2"}', InvalidQuote, "not an array"),
    ("bitstamp", '{"error":"Bitstamp.net is under scheduled maintenance."}', SourceRefused, "maintenance"),
    ("bitstamp", '{"status":"error","reason":"No.","code":"400.002"}', RateLimited, "400.002"),
    ("bitstamp", '{"status":"error","reason":"Invalid pair.","code":"404"}', SourceRefused, "Invalid pair"),
    ("bitstamp", '{"status":"error","reason":{"__all__":["Wrong pair."]}}', SourceRefused, "Wrong pair."),
    ("bitstamp", '{"status":"error","reason":{"pair":"Wrong pair."}}', SourceRefused, "Wrong pair."),
    ("blockchain_info", '{"error":"not-found","message":"Nothing here"}', SourceRefused, "Nothing here"),
    ("blockchain_info", '{"EUR":{"last":1.0,"symbol":"EUR"}}', InvalidQuote, "USD.symbol is missing"),
    ("blockchain_info", '{"USD":{"last":54815.31,"symbol":"EUR"}}', InvalidQuote, "USD.symbol is 'EUR'"),
    ("coinbase", '{"message":"Public rate limit exceeded"}', RateLimited, "Public rate limit exceeded"),
    ("coinbase", '{"message":"NotFound"}', SourceRefused, "NotFound"),
    ("coingecko", '{"bitcoin":{}}', InvalidQuote, "bitcoin.usd is missing"),
    ("coingecko", "{}", InvalidQuote, "bitcoin.usd is missing"),
    ("coingecko", '{"error":{"status":{"error_code":429,"error_message":"Slow."}}}', RateLimited, "Slow"),
    ("coingecko", '{"error":{"status":{"error_code":10002,"error_message":"Key?"}}}', SourceRefused, "Key?"),
    (
        "coingecko",
        '{"status":{"error_code":10010,"error_message":"Wrong key type."}}',
        SourceRefused,
        "10010",
    ),
    ("coingecko", '{"status":500,"error":"Internal Server Error"}', SourceRefused, "Internal Server Error"),
    ("coingecko", '{"status":429,"error":"Wait."}', RateLimited, "Wait"),
    ("coingecko", '{"error":{"message":"Too Many Requests"}}', RateLimited, "Too Many"),
    ("coinpaprika", '{"error":"id not found"}', SourceRefused, "id not found"),
    ("coinpaprika", '{"error":"too many requests"}', RateLimited, "too many requests"),
    ("coinpaprika", '{"id":"bch-bitcoin-cash","quotes":{}}', InvalidQuote, "id is 'bch-bitcoin-cash'"),
    ("gemini", '{"result":"error","reason":"RateLimit","message":"Wait."}', RateLimited, "RateLimit, Wait"),
    ("gemini", '{"result":"error","reason":"Maintenance","message":"Soon."}', SourceRefused, "Maintenance"),
    ("gemini", '{"last":"4407.82","volume":{"ETH":"1","USD":"2"}}', InvalidQuote, "another pair"),
    ("kraken", '{"error":["EAPI:Rate limit exceeded"]}', RateLimited, "EAPI"),
    ("kraken", '{"error":["EGeneral:Temporary lockout"]}', RateLimited, "lockout"),
    ("kraken", '{"error":["WGeneral:Odd","EService:Busy"],"result":{}}', SourceRefused, "EService:Busy"),
    ("kraken", '{"error":[' + "[" * 900 + "]" * 900 + "]}", SourceRefused, "an array"),
    ("kraken", '{"error":[{}]}', SourceRefused, "an object"),
    ("kraken", '{"error":"no"}', SourceRefused, "returned an error: no"),
    ("kraken", '{"error":"EAPI:Rate limit exceeded"}', RateLimited, "Rate limit"),
    ("kraken", '{"error":{"a":"b"}}', InvalidQuote, "error is an object, not an array"),
    ("kraken", '{"error":[]}', InvalidQuote, "result is missing"),
    ("kraken", '{"error":[],"result":{}}', InvalidQuote, "XXBTZUSD"),
    ("kraken", '{"error":[],"result":{"XXBTZUSD":{},"XETHZUSD":{}}}', InvalidQuote, "alone"),
    ("okx", '{"code":"50011","msg":""}', RateLimited, "50011"),
    ("okx", '{"code":"51001","msg":"Instrument ID does not exist","data":[]}', SourceRefused, "51001"),
    ("okx", '{"code":404,"msg":"Not Found"}', SourceRefused, "Not Found"),
    ("okx", '{"code":"0","msg":"","data":[]}', InvalidQuote, "data.0.instId is missing"),
    ("okx", '{"code":"0","data":[{"instId":"BTC-USDC","last":"1"}]}', InvalidQuote, "not 'BTC-USDT'"),
    ("tether", '{"error":[],"result":{"XXBTZUSD":{"c":["1"]}}}', InvalidQuote, "USDTZUSD"),
    ("tether", '{"error":[],"result":{"USDTZUSD":{"c":["0.41"]}}}', InvalidQuote, "outside 0.5 to 1.5"),
]


def fault_of(name: str, body: bytes) -> SourceError:
    with pytest.raises(SourceError) as raised:
        PARSERS[name].parse(body)
    return raised.value


@pytest.mark.parametrize(("file", "kind", "message"), RECORDED, ids=str)
def test_a_recorded_error_response_raises_its_error(file: str, kind: type[SourceError], message: str) -> None:
    fault = fault_of(file.partition("/")[0], (RECORDINGS / file).read_bytes())
    assert type(fault) is kind
    assert message in str(fault)


@pytest.mark.parametrize(("name", "body", "kind", "message"), ERRORS)
def test_an_error_response_raises_its_error(
    name: str, body: str, kind: type[SourceError], message: str
) -> None:
    fault = fault_of(name, body.encode())
    assert type(fault) is kind
    assert message in str(fault)


@pytest.mark.parametrize("name", PARSERS)
def test_html_is_rejected(name: str) -> None:
    fault = fault_of(name, (RECORDINGS / "generic/html_502_meta_refresh.html").read_bytes())
    assert type(fault) is InvalidQuote
    assert str(fault) == "the body is HTML"


def test_a_warning_is_not_an_error() -> None:
    body = (RECORDINGS / "kraken/ticker_xbtusd_200.json").read_text()
    warned = body.replace('"error":[]', '"error":["WGeneral:Something is odd"]')
    assert SOURCES["kraken"].parse(warned.encode()) == SOURCES["kraken"].parse(body.encode())


def test_an_error_without_text_is_still_an_error() -> None:
    assert type(fault_of("gemini", b'{"result":"error"}')) is SourceRefused


def test_a_blank_message_adds_nothing() -> None:
    assert str(fault_of("okx", b'{"code":"50001","msg":""}')) == "source returned an error: 50001"
    assert str(fault_of("gemini", b'{"result":"error","reason":""}')) == "source returned an error"


def test_error_texts_of_sources_are_shortened_and_escaped() -> None:
    """A message goes to logs, terminals and pages: no control characters, no novels."""
    text = str(fault_of("coinbase", b'{"message":"\\u001b[31mred\\n' + b"x" * 100_000 + b'"}'))
    assert text.isprintable()
    assert len(text) < 120
    many = b'{"error":[' + b",".join([b'"E' + b"x" * 90 + b'"'] * 1000) + b"]}"
    assert len(str(fault_of("kraken", many))) < 400
