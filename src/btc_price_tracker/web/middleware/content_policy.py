"""A content security policy for responses that have none of their own: nothing loads, and no page frames them.

A browser shows JSON, text and problems as documents, whatever they are meant to be. Streams, whose heads are to be
small, are downloaded instead.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAME = b"content-security-policy"
POLICY = b"default-src 'none'; frame-ancestors 'none'"


class ContentPolicy:
    """ASGI middleware for everything but streams."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request and complete the head of its response."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if all(name != NAME for name, _ in headers):
                    message["headers"] = [*headers, (NAME, POLICY)]
            await send(message)

        await self._app(scope, receive, send_with_policy)
