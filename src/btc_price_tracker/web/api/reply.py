"""JSON responses, and routes for HEAD as well as GET."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel

from btc_price_tracker.web.api.parameters import check_known

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

# Decimals as numbers with all their digits.
encoder = msgspec.json.Encoder(decimal_format="number")


def reply(document: object, status: int = 200, cache: str = "no-store") -> Response:
    """A JSON response; not to be stored unless `cache` says otherwise."""
    return Response(encoder.encode(document), status, {"Cache-Control": cache}, "application/json")


def get(
    app: FastAPI, path: str, query: type[BaseModel] | None = None, **documentation: Any
) -> Callable[[Endpoint], Endpoint]:
    """Route GET, which is documented, and HEAD, which is not.

    `query` is the model of the endpoint's query parameters, if any; others are rejected.
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
