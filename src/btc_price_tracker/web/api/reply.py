"""Answers as JSON, and routes that answer to HEAD as well as to GET."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel

from btc_price_tracker.web.api.parameters import check_known

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

# All the digits of a decimal, and no quotes around them.
encoder = msgspec.json.Encoder(decimal_format="number")


def reply(document: object, status: int = 200, cache: str = "no-store") -> Response:
    """JSON that is true only now, unless `cache` says otherwise."""
    return Response(encoder.encode(document), status, {"Cache-Control": cache}, "application/json")


def get(
    app: FastAPI, path: str, query: type[BaseModel] | None = None, **documentation: Any
) -> Callable[[Endpoint], Endpoint]:
    """Route GET, documented, and HEAD, which needs no documentation of its own.

    `query` is the model of the endpoint's parameters, where it has any; others are refused.
    """
    known = tuple(query.model_fields) if query else ()

    async def check_parameters(request: Request) -> None:
        check_known(request.query_params, known)

    checked = [Depends(check_parameters)]

    def register(endpoint: Endpoint) -> Endpoint:
        app.get(path, response_model=None, dependencies=checked, **documentation)(endpoint)
        app.head(path, response_model=None, dependencies=checked, include_in_schema=False)(endpoint)
        return endpoint

    return register
