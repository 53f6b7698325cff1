"""The names that other programs may import, and their types: mypy checks this file as such a program."""

from decimal import Decimal
from importlib import import_module
from inspect import isclass, isfunction
from typing import assert_type

import msgspec
import pytest

import btc_price_tracker
from btc_price_tracker.errors import RateLimited, RecordError, SettingsError, StoreError, TrackerError
from btc_price_tracker.price.model import AssessedQuote, Kind, QuoteState, Status, Tick
from btc_price_tracker.price.recompute import recompute
from btc_price_tracker.testing import ManualClock
from btc_price_tracker.web.api.views import Provenance

MODULES = ("errors", "price.model", "price.recompute", "testing")
QUOTE = AssessedQuote("kraken", Kind.EXCHANGE, last=Decimal(50000), used=True)
TICK = Tick(1_764_000_000_000, Decimal(50000), Status.OK, 1, Decimal(0), 0, "fallback/1", (QUOTE,))


def test_the_package_exports_its_version() -> None:
    assert btc_price_tracker.__all__ == ["__version__"]
    assert_type(btc_price_tracker.__version__, str)


@pytest.mark.parametrize("name", MODULES)
def test_all_lists_every_public_class_and_function(name: str) -> None:
    module = import_module(f"btc_price_tracker.{name}")
    defined = {
        each
        for each, value in vars(module).items()
        if (isclass(value) or isfunction(value)) and value.__module__ == module.__name__
        if not each.startswith("_")
    }
    constants = {each for each in module.__all__ if each.isupper()}
    assert set(module.__all__) - constants == defined


def test_a_tick_is_typed() -> None:
    assert_type(TICK.price, Decimal)
    assert_type(TICK.status, Status)
    assert_type(TICK.quotes, tuple[AssessedQuote, ...])
    assert_type(TICK.quotes[0].state, QuoteState | None)
    assert_type(recompute(TICK), tuple[Decimal, Decimal] | None)
    assert_type(Provenance.of(TICK).tick(), Tick)
    assert_type(msgspec.json.decode(msgspec.json.encode(Provenance.of(TICK)), type=Provenance), Provenance)


def test_errors_carry_typed_attributes() -> None:
    assert_type(SettingsError(["PORT"]).faults, tuple[str, ...])
    assert_type(RateLimited("too many requests").retry_after, float | None)
    assert_type(RecordError("no tick", 3).line, int | None)
    assert issubclass(StoreError, TrackerError)


def test_a_clock_for_tests_is_typed() -> None:
    assert_type(ManualClock().now(), int)
    assert_type(ManualClock().monotonic(), float)
