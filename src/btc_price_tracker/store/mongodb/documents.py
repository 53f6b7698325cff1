"""Conversion between ticks and documents."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from bson import DatetimeMS, Int64

from btc_price_tracker.price.model import Status, Tick
from btc_price_tracker.store.codec import encode_quotes, with_quotes
from btc_price_tracker.store.integers import cents, dollars

Document: TypeAlias = Mapping[str, Any]

WITHOUT_QUOTES = {"quotes": False, "at": False}
WITH_QUOTES = {"at": False}


def document(tick: Tick) -> dict[str, Any]:
    """The document of a tick: amounts in cents, encoded quotes, and `at`, the id as a date for the TTL index.

    Raises ValueError on an amount that is not exact to the cent.
    """
    fields = {
        "_id": Int64(tick.id),
        "at": DatetimeMS(tick.id),
        "price": Int64(cents(tick.price)),
        "status": tick.status.value,
        "sources": tick.sources,
        "spread": Int64(cents(tick.spread)),
        "age": tick.age,
        "quote_age": Int64(tick.quote_age),
        "method": tick.method,
    }
    recorded = {"recorded": True} if tick.recorded else {}
    quotes = {"quotes": encode_quotes(tick)} if tick.quotes else {}
    return fields | recorded | quotes


def tick(document: Document) -> Tick:
    """The tick without its quotes."""
    return Tick(
        id=int(document["_id"]),
        price=dollars(document["price"]),
        status=Status(document["status"]),
        sources=document["sources"],
        spread=dollars(document["spread"]),
        quote_age=int(document.get("quote_age", document["age"] * 1000)),  # absent in older documents
        method=document["method"],
        recorded=document.get("recorded", False),
    )


def tick_with_quotes(document: Document) -> Tick:
    """The tick with its quotes. Raises StoreError where those can't be decoded."""
    return with_quotes(tick(document), document.get("quotes"))
