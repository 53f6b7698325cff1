"""The OpenAPI document: what FastAPI can't derive from the routes."""

from collections.abc import Iterable
from inspect import cleandoc
from itertools import chain
from operator import attrgetter
from types import GenericAlias
from typing import Any

from fastapi import FastAPI, Response
from msgspec.json import schema_components

from btc_price_tracker import __version__
from btc_price_tracker.fanout import sse
from btc_price_tracker.web.access.credentials import PARAMETER
from btc_price_tracker.web.api.examples import EXAMPLES
from btc_price_tracker.web.api.reply import get, reply
from btc_price_tracker.web.api.views import SourcesView
from btc_price_tracker.web.problems import ProblemDetails

PRICES = "prices"
STATE = "state"
BAD_PARAMETER = {"description": "A parameter is invalid; the detail says which."}
STORE_FAILS = {
    "description": "The store failed, or too many requests are waiting for it; retry after `Retry-After` seconds."
}
UNCHANGED = {"description": "Unchanged since the `If-None-Match` of the request."}
_ANY_OTHER = {"description": "Any other error."}
_TAGS = [
    {"name": PRICES, "description": "The price, live and past."},
    {"name": STATE, "description": "The state of the service and its sources."},
]
_HEADERS = {
    "X-Request-ID": {
        "description": "The id of the request: the client's, if it sent a valid one.",
        "schema": {"type": "string"},
    },
    "Link": {
        "description": "The next page of rows (`rel=next`) or the hour before (`rel=prev`), relative, if there is one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {"description": "Seconds to wait before retrying.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
}
_HEADERS_OF = {  # by status
    "401": ["WWW-Authenticate"],
    "429": ["Retry-After"],
    "503": ["Retry-After"],
    "default": ["Retry-After", "WWW-Authenticate"],
}
_SECURITY_SCHEMES = {  # either, where ACCESS_TOKENS or TOKENS_FILE is set
    "header": {"type": "http", "scheme": "bearer"},
    "query": {"type": "apiKey", "in": "query", "name": PARAMETER},
}
_REFERENCE = "#/components/schemas/{name}"
_PAGED = ("/prices", "/prices/candles", "/prices/next", "/prices/hours/{hour}")
# By the name of the event; unnamed ones are dispatched as `message`.
_EVENTS = {
    "message": sse.Price,
    "status": sse.StatusChange,
    "sources": SourcesView,
    "gap": sse.Gap,
    "heartbeat": sse.Heartbeat,
}
# One event as parsed: https://html.spec.whatwg.org/multipage/server-sent-events.html
_EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": list(_EVENTS)},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "retry": {"type": "integer", "minimum": 0},
    },
    "required": ["data"],
}


_ID = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}


def _query(name: str, meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": _ID, "description": meaning}


_STREAM = {
    "get": {
        "summary": "Stream",
        "description": (
            "Server-Sent Events: the current price, or all since a given one, then each new one as it is published.\n\n"
            "Prices are unnamed events with an `id`. `event: status` has the status of the price and its reason, at "
            "the start and on each change; `event: gap` has the ids that can't be replayed; `event: heartbeat` is sent "
            "when nothing else was for a while; `event: sources`, with `with=sources`, has the body of `/sources`, at "
            "the start and once a round. Precedence: the `Last-Event-ID` header, `last_event_id`, `since`."
        ),
        "operationId": "stream",
        "tags": [PRICES],
        "parameters": [
            _query("since", "Every stored price from this second (since the epoch), then live."),
            _query(
                "last_event_id", "Every price after this id, then live; for a first request without headers."
            ),
            {
                "name": "with",
                "in": "query",
                "schema": {"type": "string", "enum": ["sources"]},
                "description": "`sources` adds `event: sources`, once a round.",
            },
            {
                "name": "Last-Event-ID",
                "in": "header",
                "schema": {"type": "string"},
                "description": "Every price after this id, then live; an EventSource sends it on reconnecting.",
            },
        ],
        "responses": {
            "200": {"description": "The stream; it does not end by itself."},
            "400": {
                "description": "`since` or `last_event_id` is not a number in range, or `with` not `sources`."
            },
            "429": {
                "description": "Your address has `MAX_CLIENTS_PER_IP` streams open, or opens more than "
                "`CONNECT_RATE_PER_IP` a second; see `Retry-After`. A browser gets 200 and `retry:` instead."
            },
            "503": {
                "description": "`MAX_CLIENTS` streams are open, clients open more than `CONNECT_RATE` a second, or the "
                "server shuts down; see `Retry-After`. A browser gets 200 and `retry:` instead."
            },
            "default": _ANY_OTHER,
        },
    }
}


class Api(FastAPI):
    """The application, with the stream and the content of every response in its OpenAPI document."""

    def __init__(self) -> None:
        super().__init__(
            title="btc-price-tracker",
            version=__version__,
            description="The BTC/USD price, live and past.",
            openapi_url=None,  # FastAPI's would have floats for amounts, and its page scripts of another origin
            responses={"default": _ANY_OTHER},  # in place of FastAPI's 422
            generate_unique_id_function=attrgetter("name"),
            openapi_tags=_TAGS,
            # Our spans and metrics cover the stream too, which goes past FastAPI.
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
            redirect_slashes=False,  # it would redirect to the Host that the client sent
        )
        get(self, "/openapi.json", include_in_schema=False)(self._describe)

    async def _describe(self) -> Response:
        return reply(self.openapi())

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with examples for `reply` to encode. It is built once, which is slow."""
        if self.openapi_schema is None:
            self.openapi_schema = _completed(super().openapi())
        return self.openapi_schema


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document with the stream, and the content of every response."""
    paths = {"/prices/stream": _STREAM} | document["paths"]
    shown = chain.from_iterable(examples.values() for examples in EXAMPLES.values())
    return document | {
        "paths": {path: _described(path, operations["get"]) for path, operations in paths.items()},
        "components": {
            "schemas": _components([ProblemDetails, *_EVENTS.values(), *map(_type_of, shown)]),
            "headers": _HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
        "security": [{}, *({name: []} for name in _SECURITY_SCHEMES)],
    }


def _described(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    responses = {
        status: response | {"headers": _headers(path, status), "content": _content(path, status)}
        for status, response in operation["responses"].items()
    }
    return {"get": operation | {"responses": responses}}


def _headers(path: str, status: str) -> dict[str, Any]:
    """The headers of a response that clients may act on."""
    names = ["X-Request-ID", *_HEADERS_OF.get(status, ())]
    if path in _PAGED and status in ("200", "304"):
        names.append("Link")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _content(path: str, status: str) -> dict[str, Any]:
    """The content of a response by media type: a problem if there is no example."""
    if status in ("204", "304"):
        return {}
    examples = EXAMPLES.get((path, status))
    if examples is None:
        return {"application/problem+json": {"schema": _schema(ProblemDetails)}}
    return {media: _described_content(media, example) for media, example in examples.items()}


def _described_content(media: str, example: object) -> dict[str, Any]:
    """The events of a stream as OpenAPI 3.2 describes them, and the data of each, which it can't; or a schema."""
    if media != "text/event-stream":
        return {"schema": _schema(_type_of(example)), "example": example}
    events = {name: _schema(kind) for name, kind in _EVENTS.items()}
    return {"itemSchema": _EVENT, "x-events": events, "example": example}


def _type_of(example: object) -> object:
    """The type of an example; that of a list includes the type of its first item."""
    return GenericAlias(list, type(example[0])) if isinstance(example, list) else type(example)


def _schema(kind: object) -> dict[str, Any]:
    """The JSON schema of a type, which may refer to components."""
    (own,), _ = schema_components([kind], ref_template=_REFERENCE)
    return own


def _components(kinds: Iterable[object]) -> dict[str, Any]:
    """The schemas that those of these types refer to, by name."""
    _, named = schema_components(kinds, ref_template=_REFERENCE)
    return {name: _as_sent(each) for name, each in named.items()}


def _as_sent(schema: Any) -> Any:
    """A schema of msgspec, corrected: decimals are sent as numbers, and only fields with defaults may be absent."""
    if isinstance(schema, list):
        return [_as_sent(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    sent = {name: _as_sent(value) for name, value in schema.items()}
    if sent.get("format") == "decimal":
        sent["type"] = "number"
    if "properties" in sent:
        sent["required"] = [name for name, each in sent["properties"].items() if "default" not in each]
        sent["description"] = cleandoc(sent.get("description", ""))
    return sent
