"""The proofs run on uvloop, as the service does in production, and with `make proofs`."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

PROOFS = Path(__file__).parent


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(PROOFS):
            item.add_marker("proof")
