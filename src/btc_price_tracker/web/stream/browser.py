"""Whether a request for the stream is an EventSource's, which never reconnects after an error status."""

from collections.abc import Mapping


def is_browser(headers: Mapping[bytes, bytes]) -> bool:
    """Whether headers, names in lower case, are those of a browser.

    Browsers send `Sec-Fetch-Mode` to trustworthy origins only: HTTPS and this machine (W3C Fetch Metadata, 2). Over
    plain HTTP, they are recognised by headers that other clients of event streams leave out.
    """
    if b"sec-fetch-mode" in headers:
        return True
    if b"text/event-stream" not in headers.get(b"accept", b"").lower():
        return False
    named = b"mozilla/" in headers.get(b"user-agent", b"").lower()
    return named or b"origin" in headers or b"referer" in headers
