from decimal import Decimal

import httpx2
import pytest

from btc_price_tracker.playback import Fault, Playback


@pytest.fixture
def faults(playback: Playback) -> str:
    return f"http://127.0.0.1:{playback.port}/faults"


async def test_a_fault_is_put_listed_and_deleted(
    playback: Playback, client: httpx2.AsyncClient, faults: str
) -> None:
    fields = {
        "status": 429,
        "headers": {"Retry-After": "7"},
        "body": "slow down",
        "scale": "1.049",
        "reset": "body",
    }
    put = await client.put(f"{faults}/kraken", json=fields)
    assert put.status_code == 200
    assert playback.faults == {
        "kraken": Fault(
            status=429,
            headers={"Retry-After": "7"},
            body=b"slow down",
            scale=Decimal("1.049"),
            reset="body",
        )
    }
    assert (await client.get(faults)).json() == {"kraken": fields}
    assert (await client.delete(f"{faults}/kraken")).json() == {}
    assert playback.faults == {}


async def test_a_scale_written_as_a_number_is_taken_as_written(
    playback: Playback, client: httpx2.AsyncClient, faults: str
) -> None:
    await client.put(f"{faults}/kraken", content=b'{"scale": 0.951}')
    assert playback.faults["kraken"].scale == Decimal("0.951")


async def test_a_body_that_is_no_text_can_still_be_listed(
    playback: Playback, client: httpx2.AsyncClient, faults: str
) -> None:
    playback.faults["okx"] = Fault(body=b"\xff!")
    assert (await client.get(faults)).json() == {"okx": {"body": "\N{REPLACEMENT CHARACTER}!"}}


async def test_deleting_what_is_not_there_is_no_error(client: httpx2.AsyncClient, faults: str) -> None:
    assert (await client.delete(f"{faults}/okx")).status_code == 200


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (b"", "not a fault"),
        (b"[1]", "object"),
        (b"{", "not a fault"),
        (b"\xff", "not a fault"),
        (b'{"delya": 1}', "delya"),
        (b'{"delay": "long"}', "delay"),
        (b'{"delay": -1}', "delay"),
        (b'{"status": 99}', "status"),
        (b'{"scale": "much"}', "scale"),
        (b'{"scale": "NaN"}', "scale"),
        (b'{"scale": "Infinity"}', "scale"),
        (b'{"body": 5}', "body"),
        (b'{"reset": "tail"}', "reset"),
        (b'{"headers": {"A": "b\\r\\nC: d"}}', "header"),
        (b'{"headers": {"": "b"}}', "header"),
        (b'{"headers": {"A b:": "c"}}', "header"),
    ],
)
async def test_what_is_no_fault_is_refused_with_the_reason(
    playback: Playback, client: httpx2.AsyncClient, faults: str, raw: bytes, names: str
) -> None:
    response = await client.put(f"{faults}/kraken", content=raw)
    assert response.status_code == 400
    assert names in response.json()["error"]
    assert playback.faults == {}


async def test_a_source_that_is_not_there_is_404_and_the_message_lists_them(
    client: httpx2.AsyncClient, faults: str
) -> None:
    response = await client.put(f"{faults}/mtgox", json={})
    assert response.status_code == 404
    assert "coingecko" in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", ""), ("DELETE", ""), ("GET", "/kraken"), ("POST", "/kraken")]
)
async def test_other_methods_are_405_and_the_message_says_what_to_use(
    client: httpx2.AsyncClient, faults: str, method: str, path: str
) -> None:
    response = await client.request(method, faults + path)
    assert response.status_code == 405
    assert "PUT /faults/<source>" in response.json()["error"]
