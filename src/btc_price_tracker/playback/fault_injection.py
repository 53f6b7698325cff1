"""What can be made to go wrong with a source's answer, and the JSON form of it."""

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Size = Annotated[int, Meta(ge=0, le=2**40)]


class Fault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one source misbehaves; every field alone or together with others, each absent by default.

    A connection whose answer could not be distinguished from the next one (cut short, or with a Content-Length
    among `headers`) is closed after it. `flood` and `bomb` are sent chunked: only reading tells their length.
    """

    delay: Seconds = 0  # wait so long before the first byte
    hang: bool = False  # take the request and never answer
    reset: Literal["head", "body"] | None = None  # RST: before the first byte, or halfway through the body
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    headers: dict[str, str] = {}  # added to the venue's, or in place of the same
    body: bytes | None = None  # in place of the venue's; text (UTF-8) in the JSON form
    scale: Decimal = Decimal(1)  # every price of the answer times this
    drip: Seconds = 0  # wait so long before each byte of the body
    truncate: Size | None = None  # promise the whole body, send so many bytes of it
    flood: Size = 0  # a body of so many bytes of white space
    bomb: Size = 0  # a gzipped body that unfolds to so many zero bytes


NO_FAULT = Fault()


class BadFault(ValueError):
    """The JSON does not describe a fault; the message says where and why."""


def parse(raw: bytes) -> Fault:
    """Read a fault from its JSON form. Raises BadFault."""
    try:
        fields = msgspec.json.decode(raw, type=dict[str, Any])
        if isinstance(fields.get("body"), str):
            fields["body"] = fields["body"].encode()
        fault = msgspec.convert(fields, Fault)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise BadFault(f"not a fault: {error}") from error
    _check(fault)
    return fault


def to_json(faults: dict[str, Fault]) -> bytes:
    """The faults by source in their JSON form; body bytes that are no UTF-8 are replaced by U+FFFD."""
    return msgspec.json.encode({source: _fields(fault) for source, fault in faults.items()})


def _fields(fault: Fault) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(fault, builtin_types=(bytes,))
    if fault.body is not None:
        fields["body"] = fault.body.decode(errors="replace")
    return fields


def _check(fault: Fault) -> None:
    """Refuse what the types let pass but no answer can carry."""
    if not fault.scale.is_finite():
        raise BadFault("not a fault: scale isn't a finite number")
    for name, value in fault.headers.items():
        line = f"{name}{value}"
        if not name or ":" in name or not line.isascii() or not line.isprintable():
            raise BadFault(f"not a fault: {name!r} is no header of printable ASCII characters on one line")
