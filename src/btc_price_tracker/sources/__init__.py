"""The public APIs that we ask for a price, one small file each, and the registry of them all."""

from collections.abc import Mapping
from types import MappingProxyType

from btc_price_tracker.sources.binance import BINANCE
from btc_price_tracker.sources.binanceus import BINANCEUS
from btc_price_tracker.sources.bitfinex import BITFINEX
from btc_price_tracker.sources.bitstamp import BITSTAMP
from btc_price_tracker.sources.blockchain_info import BLOCKCHAIN_INFO
from btc_price_tracker.sources.coinbase import COINBASE
from btc_price_tracker.sources.coingecko import COINGECKO
from btc_price_tracker.sources.coinpaprika import COINPAPRIKA
from btc_price_tracker.sources.gemini import GEMINI
from btc_price_tracker.sources.kraken import KRAKEN
from btc_price_tracker.sources.okx import OKX
from btc_price_tracker.sources.source import Source

_ALL = (
    COINGECKO,
    COINBASE,
    KRAKEN,
    BITSTAMP,
    GEMINI,
    BINANCE,
    BINANCEUS,
    BITFINEX,
    OKX,
    COINPAPRIKA,
    BLOCKCHAIN_INFO,
)

SOURCES: Mapping[str, Source] = MappingProxyType({source.name: source for source in _ALL})
