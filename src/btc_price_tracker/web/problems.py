"""Every error as application/problem+json (RFC 9457)."""

from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from btc_price_tracker.errors import StoreError
from btc_price_tracker.settings.validation import describe_error
from btc_price_tracker.web.middleware.content_policy import POLICY


class ProblemDetails(msgspec.Struct):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


class ProblemResponse(Response):
    """A problem as a response; `phrase` is the reason phrase of its status."""

    media_type = "application/problem+json"

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        self.phrase = HTTPStatus(status).phrase
        details = ProblemDetails("about:blank", self.phrase, status, detail)
        own = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY.decode()}
        super().__init__(msgspec.json.encode(details), status, {**own, **(headers or {})})


class Problem(Exception):
    """Raised anywhere in a request: the response is a problem with this status and detail."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers

    def response(self) -> ProblemResponse:
        """The problem as a response."""
        return ProblemResponse(self.status, str(self), self.headers)


def install(app: FastAPI) -> None:
    """Make every error of an application a problem response."""
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(RequestValidationError)(_on_invalid)
    app.exception_handler(StoreError)(_on_store_error)
    app.exception_handler(Exception)(_on_bug)


async def _on_problem(_: Request, problem: Problem) -> Response:
    return problem.response()


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        allowed = _methods_of(request, error)
        headers = {"Allow": ", ".join(sorted(allowed))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
        return ProblemResponse(405, f"{request.url.path} supports {headers['Allow']}.", headers)
    if error.status_code == 404:
        return ProblemResponse(404, _not_found(request))
    return ProblemResponse(error.status_code, error.detail, dict(error.headers or {}))


async def _on_invalid(_: Request, error: RequestValidationError) -> Response:
    details = [
        f"{'.'.join(str(part) for part in fault['loc'][1:])}: {describe_error(fault)}"
        for fault in error.errors()
    ]
    return ProblemResponse(400, "; ".join(details))


async def _on_store_error(_: Request, error: StoreError) -> Response:
    return ProblemResponse(503, f"The store failed: {error}", {"Retry-After": "10"})


def bug() -> ProblemResponse:
    """The response to an unexpected exception."""
    return ProblemResponse(500, "Internal error; the server's log has details under this X-Request-ID.")


async def _on_bug(_: Request, __: Exception) -> Response:
    return bug()


def _not_found(request: Request) -> str:
    path = request.url.path
    without_slash = path.rstrip("/")
    scope = {**request.scope, "path": without_slash}
    if without_slash != path and any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
        return f"{path} does not exist; request {without_slash}, without a trailing slash."
    return f"{path} does not exist; see /docs."


def _methods_of(request: Request, error: HTTPException) -> set[str]:
    """Every method that a route supports for the path of a request; mounted applications name theirs in the error."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    named = (error.headers or {}).get("Allow", "OPTIONS").split(", ")
    return {"OPTIONS", *named}.union(*(getattr(route, "methods", None) or () for route in routes))
