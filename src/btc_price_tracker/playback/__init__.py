"""Recorded exchanges, played back over loopback HTTP for the demo and the tests.

A *market* gives every venue's ticker at a moment: a `Recording` of real closing prices, or a `Script`.
A `Playback` answers for the venues on a loopback port: real paths, real formats, and faults on demand.

What is real and what isn't: the closing prices and the silences are recorded. Bid and ask are computed, half
a basis point either side of the close. A source's own time is the moment of the question, at the precision of
the source, and in the present whatever the speed. CoinGecko's price is the mean of the venues that answered a
minute of history before. Volumes, sizes, trade ids and 24-hour figures are left out, or zero where the format
leaves no choice.
"""

from btc_price_tracker.playback.fault_injection import Fault
from btc_price_tracker.playback.market import Market, Script, Ticker
from btc_price_tracker.playback.recording import COLUMNS, Closes, Recording, load, packaged
from btc_price_tracker.playback.server import Call, Playback
from btc_price_tracker.playback.venues import VENUES

ORIGIN = (
    "Recorded prices: Coinbase, Kraken and Binance.US, 4 to 5 March 2023; "
    "bid, ask, times and CoinGecko's answer are computed."
)

__all__ = [
    "COLUMNS",
    "ORIGIN",
    "VENUES",
    "Call",
    "Closes",
    "Fault",
    "Market",
    "Playback",
    "Recording",
    "Script",
    "Ticker",
    "load",
    "packaged",
]
