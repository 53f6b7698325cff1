"""Which pages of other origins may ask, and what they may read of the answers."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from btc_price_tracker.web.problems import ProblemResponse


class Cors(CORSMiddleware):
    """CORS as Starlette does it, but a refusal is a problem like any other."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks whether it may ask."""
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return response
        allowed = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return ProblemResponse(response.status_code, f"{bytes(response.body).decode()}.", allowed)
