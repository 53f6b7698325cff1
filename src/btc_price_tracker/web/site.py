"""The page at `/`, the API reference at `/docs`, and their files.

The files are served from a folder named after the hash of their content, so that browsers cache them for good and never
mix two versions: relative imports between modules stay within the folder. The two documents are revalidated each time,
with 304 while unchanged. Everything is read and compressed once, at the start.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from btc_price_tracker.web.accept import accepts_gzip
from btc_price_tracker.web.caching import for_ever, is_unchanged

_PAGE = Path(__file__).parent / "page"
_DOCUMENTS = {"/": "index.html", "/docs": "docs.html", "/favicon.ico": "favicon.svg"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
        "microphone=(), midi=(), payment=(), usb=()"
    ),
    "Accept-Ranges": "none",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class File:
    """One file, plain and compressed."""

    content: bytes
    compressed: bytes  # no longer than `content`, or empty
    media_type: str
    tag: str  # in quotes

    def response(self, request: Request, cache_control: str) -> Response:
        """The response to a request: the file, or 304 if the client has it."""
        headers = {**_HEADERS, "Cache-Control": cache_control, "ETag": f"W/{self.tag}"}
        if is_unchanged(request, self.tag):
            return Response(status_code=304, headers=headers)
        if self.compressed and accepts_gzip(",".join(request.headers.getlist("accept-encoding"))):
            return Response(
                self.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=self.media_type
            )
        return Response(self.content, headers=headers, media_type=self.media_type)


@cache  # the files are part of the program
def folder() -> tuple[str, dict[str, File]]:
    """The path of the folder, such as `page/1f0c9b2e7a6d4c31`, and its files by relative path."""
    contents = {
        str(path.relative_to(_PAGE)): path.read_bytes() for path in sorted(_PAGE.rglob("*")) if path.is_file()
    }
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(b"%b\0%d\0%b" % (name.encode(), len(content), content))
    path = f"page/{digest.hexdigest()[:16]}"
    return path, {name: _file(name, content) for name, content in contents.items()}


def install(app: FastAPI) -> None:
    """Serve the page."""
    path, files = folder()
    for route, name in _DOCUMENTS.items():
        content = files[name].content.replace(b'"page/', f'"{path}/'.encode())
        app.router.add_route(route, _document(_file(name, content)), methods=["GET"])

    async def serve(request: Request) -> Response:
        file = files.get(request.path_params["name"])
        if (
            file is None or file.media_type == "text/html"
        ):  # a document's links are right at its own path only
            raise HTTPException(404)
        return file.response(request, for_ever())

    app.router.add_route(file_route(), serve, methods=["GET"])


def file_route() -> str:
    """The route of the files."""
    return f"/{folder()[0]}/{{name:path}}"


def _document(file: File) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        return file.response(request, "no-cache")

    return serve


def _file(name: str, content: bytes) -> File:
    compressed = gzip.compress(content, mtime=0)
    return File(
        content,
        compressed if len(compressed) < len(content) else b"",
        mimetypes.guess_type(name)[0] or "application/octet-stream",
        f'"{hashlib.sha256(content).hexdigest()[:16]}"',
    )
