"""The HTTP side runs on uvloop, as it does in production."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def patient_outbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """No price is to overtake its store because the disk is busy."""
    monkeypatch.setattr("btc_price_tracker.store.outbox.PATIENCE", 30.0)
