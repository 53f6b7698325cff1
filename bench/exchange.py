"""Exchanges on loopback in a process of their own, so that answering isn't counted as the server's work.

    python bench/exchange.py

Prints its port, then answers for every source until it is ended.
"""

import asyncio
from decimal import Decimal

from btc_price_tracker.playback import VENUES, Playback, Script
from btc_price_tracker.price.model import Quote


async def main() -> None:
    quotes = {name: Quote(Decimal(69420) + place) for place, name in enumerate(VENUES)}
    async with Playback(Script(quotes)) as playback:
        print(playback.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
