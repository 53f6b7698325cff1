"""Opening the store of a URL, and errors for invalid ones."""

import sys

import pytest

from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import open_store


@pytest.mark.parametrize("url", ["mysql://user:hunter2@host/db", "user:hunter2@host", "", "sqlite:prices.db"])
async def test_unknown_scheme_lists_the_known_ones_without_password(url: str) -> None:
    with pytest.raises(
        StoreError, match=r"give one of memory:// or memory:///path, sqlite:///path"
    ) as caught:
        await open_store(url, capacity=1)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite://prices.db",
        "sqlite://host/prices.db",
        "memory://prices",
        "memory:///",
    ],
)
async def test_url_without_path_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="with three slashes where there is a path"):
        await open_store(url, capacity=1)


async def test_missing_requirement_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("btc_price_tracker.store.sqlite")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    with pytest.raises(StoreError, match="requires a Python that was built with sqlite3"):
        await open_store("sqlite:///prices.db", capacity=1)
