"""The demo is the same on every machine: what belongs to the real APIs doesn't reach it."""

import asyncio

import httpx2

from proofs.process import command

OF_THE_REAL = {
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "SSL_CERT_FILE": "/nonexistent",
    "COINGECKO_API_KEY": "CG-key",
    "INTERVAL": "",
}


async def test_demo_ignores_proxies_keys_and_empty_settings() -> None:
    async with (
        command("demo", **OF_THE_REAL) as (_, port),
        httpx2.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        async with asyncio.timeout(60):
            while len(prices := (await client.get("/prices")).json()) < 3:
                await asyncio.sleep(0.1)
        assert prices[2]["id"] - prices[0]["id"] < 15_000  # ms: at the real interval, twenty seconds
        assert all(price["recorded"] and price["pair"] == "BTC/USD" for price in prices)
        sources = (await client.get("/sources")).json()
        (coingecko,) = (source for source in sources["sources"] if source["name"] == "coingecko")
    assert coingecko["next_try_s"] < 60
