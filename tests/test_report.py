"""What `sources` prints of the sources that it asked."""

import asyncio
import re

from btc_price_tracker.playback import Fault, Playback, Script
from command import run

WORDS = "EGeneral:see [/docs/x] or [red], and mind that this is one long line wherever it is printed"


async def test_what_a_source_says_is_printed_as_it_is_and_in_one_line() -> None:
    async with Playback(Script()) as playback:
        playback.faults["kraken"] = Fault(status=200, body=f'{{"error": ["{WORDS}"]}}'.encode())
        result = await asyncio.to_thread(run, "sources", SOURCES="kraken", KRAKEN_URL=playback.url("kraken"))
    assert (result.returncode, result.stderr) == (1, "")
    assert re.search(
        rf"^kraken +– .* error: the source says no: {re.escape(WORDS[:70])}", result.stdout, re.MULTILINE
    )
