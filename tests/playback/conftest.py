from collections.abc import AsyncIterator
from decimal import Decimal

import httpx2
import pytest

from btc_price_tracker.playback import VENUES, Playback, Script
from btc_price_tracker.price.model import Quote

PRICE = Decimal("69420.25")


@pytest.fixture
def script() -> Script:
    return Script({name: Quote(PRICE) for name in VENUES})


@pytest.fixture
async def playback(script: Script) -> AsyncIterator[Playback]:
    async with Playback(script) as playback:
        yield playback


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(verify=False, trust_env=False, timeout=30) as client:
        yield client
