"""MAX_STREAM_AGE on real sockets: a clean end with a `retry:`, and nothing lost by the client that resumes."""

import pytest

from btc_price_tracker.testing import ManualClock
from live import Client, live

pytestmark = pytest.mark.parametrize("detach", [True, False], ids=["detached", "fallback"])


@pytest.mark.parametrize("query", ["", "?with=sources"])
async def test_old_stream_ends_cleanly_and_resumes(*, detach: bool, query: str) -> None:
    clock = ManualClock()
    async with live(clock, detach=detach, max_stream_age=60) as server:
        first = await server.publish()
        async with await Client.get(server.port, f"/prices/stream{query}") as client:
            assert await client.prices(1) == [first]
            await clock.advance(75)
            while (last := await client.event()).retry is None or last.name != "heartbeat":
                pass
            with pytest.raises(EOFError):
                await client.event()
            assert client.ended
        assert 1000 <= last.retry <= 5000
        missed = [await server.publish(), await server.publish()]
        async with await Client.get(server.port, "/prices/stream", last_event_id=str(first)) as client:
            assert await client.prices(2) == missed
        async with await Client.get(server.port, "/metrics") as client:
            assert b'btc_streams_closed_total{reason="age"} 1' in await client.body()
