"""The page and its files: compressed once, cached for ever, never mixed with another version."""

import gzip
import re
from collections.abc import AsyncIterator

import httpx2
import pytest

from btc_price_tracker.web.site import folder
from live import live

FOLDER, FILES = folder()
MAIN_JS = f"/{FOLDER}/main.js"
DOCUMENTS = ("/", "/docs", "/favicon.ico")


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Accept-Encoding": "identity"}
    async with (
        live() as server,
        httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30, headers=headers) as client,
    ):
        yield client


async def test_files_are_kept_for_ever_and_documents_asked_for_anew(client: httpx2.AsyncClient) -> None:
    files = [f"/{FOLDER}/{name}" for name in FILES if not name.endswith(".html")]
    assert len(files) > 20
    for path in files:
        assert (await client.get(path)).headers["cache-control"] == "public, max-age=31536000, immutable"
    for path in DOCUMENTS:
        assert (await client.get(path)).headers["cache-control"] == "no-cache"


async def test_every_link_of_a_document_is_relative_and_leads_to_a_file(client: httpx2.AsyncClient) -> None:
    for path in ("/", "/docs"):
        links = re.findall(r'(?:href|src)="([^"]+)"', (await client.get(path)).text)
        assert sum(link.startswith(f"{FOLDER}/") for link in links) >= 4
        for link in links:
            assert not link.startswith(("/", "http"))
            if link.startswith("page/"):
                assert (await client.get(link)).status_code == 200


@pytest.mark.parametrize("path", [MAIN_JS, *DOCUMENTS])
async def test_a_file_comes_compressed_where_that_is_accepted(client: httpx2.AsyncClient, path: str) -> None:
    plain = await client.get(path)
    async with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as response:
        packed = b"".join([part async for part in response.aiter_raw()])
    assert response.headers["content-encoding"] == "gzip"
    assert response.headers["content-length"] == str(len(packed))
    assert gzip.decompress(packed) == plain.content
    assert "content-encoding" not in plain.headers
    for each in (response, plain):
        assert set(each.headers["vary"].split(", ")) == {"Accept-Encoding"}
    for name in ("content-type", "content-security-policy", "etag"):
        assert response.headers[name] == plain.headers[name]


@pytest.mark.parametrize("path", [MAIN_JS, *DOCUMENTS])
async def test_a_file_that_the_client_has_is_304(client: httpx2.AsyncClient, path: str) -> None:
    etag = (await client.get(path)).headers["etag"]
    for known in (etag, etag.removeprefix("W/"), f'"other", {etag}'):
        answer = await client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
        assert "content-security-policy" in answer.headers
    assert (await client.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/page/main.js",
        "/page/0123456789abcdef/main.js",
        f"/{FOLDER}",
        f"/{FOLDER}/",
        f"/{FOLDER}/nothing.js",
        f"/{FOLDER}/index.html",
        f"/{FOLDER}/../site.py",
        f"/{FOLDER}/%2e%2e/site.py",
        f"/{FOLDER}//etc/passwd",
    ],
)
async def test_there_is_nothing_else(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [MAIN_JS, "/", "/docs"])
@pytest.mark.parametrize("asked", ["bytes=0-3", "bytes=abc", "lines=1-2", "bytes=99999999-"])
async def test_a_file_comes_whole_whatever_part_is_asked_for(
    client: httpx2.AsyncClient, path: str, asked: str
) -> None:
    whole = await client.get(path)
    answer = await client.get(path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, whole.content)
    assert answer.headers["content-security-policy"] == whole.headers["content-security-policy"]
    assert answer.headers["accept-ranges"] == "none"
