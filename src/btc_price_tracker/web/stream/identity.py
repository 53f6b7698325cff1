"""The id of a stream: that of the request that opened it, unless the client chose that one in another form."""

import random
import re

from structlog.contextvars import bind_contextvars

from btc_price_tracker.telemetry.logs import REQUEST_ID

_OURS = re.compile(r"[0-9a-f]{16}")


def current_ids() -> tuple[int, str | None]:
    """Return the id of the stream that the current request opens, and the request's if it differs.

    The log lines of the request bear both from now on.
    """
    request_id = REQUEST_ID.get("")
    is_ours = _OURS.fullmatch(request_id) is not None
    stream_id = int(request_id, 16) if is_ours else random.getrandbits(64)  # nosec B311 # not a secret
    bind_contextvars(stream_id=f"{stream_id:016x}")
    return stream_id, None if is_ours else request_id or None
