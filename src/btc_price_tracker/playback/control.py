"""The control paths of a playback: GET /faults, PUT and DELETE /faults/<source>."""

from collections.abc import Collection

import msgspec

from btc_price_tracker.playback.fault_injection import BadFault, Fault, parse, to_json
from btc_price_tracker.playback.venues import JSON, Response
from btc_price_tracker.playback.wire import Request

PREFIX = "/faults"


def answer(request: Request, faults: dict[str, Fault], sources: Collection[str]) -> Response:
    """Do what the request asks with the faults, and say what came of it."""
    source = request.target.removeprefix(PREFIX).strip("/")
    if source and source not in sources:
        return problem(404, f"no source {source!r}; there are {', '.join(sources)}")
    match request.method, bool(source):
        case "GET", False:
            return Response(200, JSON, to_json(faults))
        case "PUT", True:
            return _put(source, request.body, faults)
        case "DELETE", True:
            faults.pop(source, None)
            return Response(200, JSON, to_json(faults))
    return problem(
        405, "use GET /faults, PUT /faults/<source> with a fault in JSON, or DELETE /faults/<source>"
    )


def _put(source: str, raw: bytes, faults: dict[str, Fault]) -> Response:
    try:
        faults[source] = parse(raw)
    except BadFault as error:
        return problem(400, str(error))
    return Response(200, JSON, to_json(faults))


def problem(status: int, detail: str) -> Response:
    """A refusal of the playback itself, not of a venue."""
    return Response(status, JSON, msgspec.json.encode({"error": detail}))
