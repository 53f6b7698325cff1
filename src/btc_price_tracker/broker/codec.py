"""Updates as bytes, and the reading of what a broker holds, which may be anything.

A message is a version byte and then, for version 1, raw deflate over msgpack: a map of the fields of Update. So a
later version of this program may add fields with defaults without a new version: older instances ignore them.
"""

import zlib

import structlog
from msgspec import DecodeError, Struct, ValidationError, msgpack
from msgspec.structs import replace

from btc_price_tracker.errors import InvalidMessage
from btc_price_tracker.price.model import Update

VERSION = b"\x01"
MAX_BYTES = 1 << 20  # of a message, packed and unpacked: a hundred times that of six sources
_WINDOW = -15  # raw deflate

log = structlog.get_logger(__name__)


class _Envelope(Struct, frozen=True, omit_defaults=True):
    """An update on its way: its own quotes are left out where those of its tick are the same."""

    update: Update
    same_quotes: bool = False


_ENCODER = msgpack.Encoder(decimal_format="string")
_DECODER = msgpack.Decoder(_Envelope)


def encode(update: Update) -> bytes:
    """The message for an update. Raises ValueError for one that no follower would accept."""
    same_quotes = update.tick is not None and update.tick.quotes == update.quotes
    envelope = _Envelope(replace(update, quotes=()) if same_quotes else update, same_quotes)
    packed = _ENCODER.encode(envelope)
    if len(packed) > MAX_BYTES:
        raise ValueError(f"the update has {len(packed)} bytes, more than {MAX_BYTES}")
    deflate = zlib.compressobj(6, zlib.DEFLATED, _WINDOW)
    return VERSION + deflate.compress(packed) + deflate.flush()


def decode(message: bytes) -> Update:
    """The update in a message, exactly as it was. Raises InvalidMessage on anything else."""
    if message[:1] != VERSION:
        raise InvalidMessage(f"unknown format (version byte {message[:1].hex() or 'missing'})")
    try:
        envelope = _DECODER.decode(_inflate(message[1:]))
    except (zlib.error, DecodeError, ValidationError, ArithmeticError, UnicodeDecodeError) as error:
        raise InvalidMessage(f"no update: {error}") from error
    update = envelope.update
    return replace(update, quotes=update.tick.quotes) if envelope.same_quotes and update.tick else update


def _inflate(packed: bytes) -> bytes:
    inflate = zlib.decompressobj(_WINDOW)
    unpacked = inflate.decompress(packed, MAX_BYTES)
    if not inflate.eof or inflate.unused_data:
        raise InvalidMessage(f"truncated, followed by other data, or larger than {MAX_BYTES} bytes")
    return unpacked


class Inbox:
    """Decodes the messages of one follower; those that aren't updates are logged, once for each reason, and skipped."""

    def __init__(self) -> None:
        self._logged: str | None = None  # the reason in the log already

    def read(self, message: object, position: str, tick_id: int | None) -> Update | None:
        """The update in the message at `position` in the broker, or None where there is none.

        `tick_id` is the id under which the broker holds it, None for an update without a tick.
        """
        try:
            if not isinstance(message, bytes):
                raise InvalidMessage("no such field")  # noqa: TRY301 - one way to be ignored
            update = decode(message)
            if tick_id != (update.tick and update.tick.id):
                raise InvalidMessage("it holds the tick of another id")  # noqa: TRY301 - one way to be ignored
        except InvalidMessage as error:
            self._ignore(str(error), position)
            return None
        return update

    def _ignore(self, reason: str, position: str) -> None:
        if reason != self._logged:
            log.warning("broker message ignored", reason=reason, id=position)
            self._logged = reason
