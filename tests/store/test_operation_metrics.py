"""The service exports the duration of its store operations as a metric."""

import re

from live import Client, live


async def test_store_operations_are_exported_as_metric() -> None:
    async with live(retention="0") as server:
        await server.publish()
        async with await Client.get(server.port, "/metrics") as client:
            text = (await client.body()).decode()
    count = r'^btc_store_operation_seconds_count\{operation="(\w+)",outcome="ok"\} (\S+)$'
    counts = {name: float(number) for name, number in re.findall(count, text, re.MULTILINE)}
    assert counts == {"span": 1, "newest": 1, "append": 1}
