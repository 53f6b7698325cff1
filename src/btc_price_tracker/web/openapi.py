"""The API's own description: what FastAPI can't know of the routes."""

from typing import Any

from fastapi import FastAPI

from btc_price_tracker import __version__

PRICE = {
    "timestamp": 1764000000,
    "price": 69420.25,
    "status": "ok",
    "sources": 5,
    "spread": 3.10,
    "age": 0,
    "method": "vote3-ped/1",
}
LATEST = {"id": 1764000000123, **PRICE}
CANDLE = {
    "timestamp": 1763996400,
    "open": 69380.00,
    "high": 69444.10,
    "low": 69321.75,
    "close": 69420.25,
    "count": 360,
    "final": True,
}


def _query(name: str, meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "integer", "minimum": 0}, "description": meaning}


_STREAM = {
    "get": {
        "summary": "Stream",
        "description": (
            "Server-Sent Events: the current price, or all since a moment, then each new one as it is published.\n\n"
            "Prices are unnamed events with an `id`. `event: status` says how sure the price is and why, at the start "
            "and on each change; `event: gap` says which ids can't be replayed; `event: heartbeat` breaks a silence. "
            "Precedence: the `Last-Event-ID` header, `last_event_id`, `since`."
        ),
        "operationId": "stream",
        "parameters": [
            _query("since", "Every stored price from this second (since the epoch) on, then live."),
            _query(
                "last_event_id", "Every price after this id, then live; for a first request without headers."
            ),
            {
                "name": "Last-Event-ID",
                "in": "header",
                "schema": {"type": "string"},
                "description": "Every price after this id, then live; an EventSource sends it by itself.",
            },
        ],
        "responses": {
            "200": {
                "description": "The stream; it does not end by itself.",
                "content": {
                    "text/event-stream": {
                        "example": (
                            'retry: 3170\n\nevent: status\ndata: {"status":"ok","reason":"4 exchanges agree.",'
                            '"timestamp":1764000000}\n\nid: 1764000000123\ndata: {"timestamp":1764000000,'
                            '"price":69420.25,"status":"ok","sources":4,"spread":3.10,"age":0,'
                            '"method":"vote3-ped/1"}\n\n'
                        )
                    }
                },
            },
            "400": {"description": "`since` or `last_event_id` is no number in range."},
            "503": {"description": "Every place is taken; `Retry-After` says when to come back."},
        },
    }
}


class Api(FastAPI):
    """The application, with the stream in its description."""

    def __init__(self) -> None:
        super().__init__(
            title="btc-price-tracker",
            version=__version__,
            description="The BTC/USD price, live and past.",
            docs_url=None,  # FastAPI's page loads scripts from elsewhere; ours is site.py's
            redoc_url=None,
        )

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        document["paths"].setdefault("/prices/stream", _STREAM)
        return document


def example(body: object) -> dict[int | str, dict[str, Any]]:
    """A `responses` argument that shows what a 200 looks like."""
    return {200: {"content": {"application/json": {"example": body}}}}
