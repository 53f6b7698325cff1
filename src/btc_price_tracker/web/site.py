"""The page at `/`, the API's description at `/docs`, and their files."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_PAGE = Path(__file__).parent / "page"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Accept-Ranges": "none",
    "Cache-Control": "no-cache",  # always asked for anew, answered by 304 while it is the same
}


class _Files(StaticFiles):
    """Files under the page's headers, and always whole: a bad Range would be answered without those."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"range"]
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response


def install(app: FastAPI) -> None:
    """Serve the page."""
    pages = _Files(directory=_PAGE)
    app.mount("/page", pages)
    for path, name in (("/", "index.html"), ("/docs", "docs.html"), ("/favicon.ico", "favicon.svg")):
        app.router.add_route(path, _file(pages, name), methods=["GET"])


def _file(pages: _Files, name: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return await pages.get_response(name, request.scope)

    return serve
