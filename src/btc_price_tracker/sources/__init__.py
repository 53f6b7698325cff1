"""The sources of the price, one small file each, and their registry."""

from collections.abc import Mapping
from types import MappingProxyType

from btc_price_tracker.sources.aggregators.blockchain_info import BLOCKCHAIN_INFO
from btc_price_tracker.sources.aggregators.coingecko import COINGECKO
from btc_price_tracker.sources.aggregators.coinpaprika import COINPAPRIKA
from btc_price_tracker.sources.definition import SourceDefinition
from btc_price_tracker.sources.exchanges.binance import BINANCE
from btc_price_tracker.sources.exchanges.binanceus import BINANCEUS
from btc_price_tracker.sources.exchanges.bitfinex import BITFINEX
from btc_price_tracker.sources.exchanges.bitstamp import BITSTAMP
from btc_price_tracker.sources.exchanges.coinbase import COINBASE
from btc_price_tracker.sources.exchanges.gemini import GEMINI
from btc_price_tracker.sources.exchanges.kraken import KRAKEN
from btc_price_tracker.sources.exchanges.okx import OKX

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

SOURCES: Mapping[str, SourceDefinition] = MappingProxyType({source.name: source for source in _ALL})
