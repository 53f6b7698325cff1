"""The file format of memory:///path.

A line with the name and version of the format, a line with the SHA-256 of the rest, and a Snapshot as MessagePack.
Version 1 contained the ticks alone; versions 1 and 2, ages in seconds. The file is replaced atomically, so a crash
leaves the previous one.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from msgspec.msgpack import Decoder, Encoder

from btc_price_tracker.errors import StoreError
from btc_price_tracker.price.model import Tick
from btc_price_tracker.store.atomic import atomic_write
from btc_price_tracker.store.files import SNAPSHOT_HEADER
from btc_price_tracker.store.private import make_folder
from btc_price_tracker.store.tick_record import TickRecord

VERSION = b"3"
OLDER_VERSIONS = (b"1", b"2")


class Snapshot(NamedTuple):
    """The contents of a store: the id up to which it was pruned, and its ticks in any order."""

    dropped: int
    ticks: Collection[Tick]


_encode = Encoder().encode
_decode = Decoder(tuple[int, list[TickRecord]]).decode
_decode_version_1 = Decoder(list[TickRecord]).decode


def save(path: Path, snapshot: Snapshot) -> None:
    """Replace the file by a snapshot. Raises StoreError where it can't be written."""
    body = _encoded(snapshot)
    checksum = hashlib.sha256(body).hexdigest().encode()
    try:
        make_folder(path.parent)
        with atomic_write(path, path.with_name(f"{path.name}.new")) as file:
            file.write(b"%b%b\n%b\n" % (SNAPSHOT_HEADER, VERSION, checksum))
            file.write(body)
    except OSError as error:
        raise StoreError(
            f"the snapshot {path} can't be written: {error.strerror}; check its disk and its folder"
        ) from error


def _encoded(snapshot: Snapshot) -> bytearray:
    """The snapshot as MessagePack, tick by tick: one call for all would hold the GIL, and so block the event loop."""
    dropped, ticks = snapshot
    array_of_two, array_of_ticks = b"\x92", b"\xdd" + len(ticks).to_bytes(4)
    body = bytearray(array_of_two + _encode(dropped) + array_of_ticks)
    for tick in ticks:
        body += _encode(tick)
    return body


def load(path: Path) -> Snapshot:
    """Read the file; an empty snapshot if there is none. Raises StoreError where it is damaged or not a snapshot."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Snapshot(0, [])
    except OSError as error:
        raise StoreError(f"the snapshot {path} can't be read: {error.strerror}") from error
    remedy = "move it away, or name another file in STORE_URL"
    header, _, rest = content.partition(b"\n")
    checksum, _, body = rest.partition(b"\n")
    if not header.startswith(SNAPSHOT_HEADER):
        raise StoreError(f"{path} is not a snapshot of this program; {remedy}")
    version = header.removeprefix(SNAPSHOT_HEADER)
    if version not in (VERSION, *OLDER_VERSIONS):
        raise StoreError(f"the snapshot {path} was written by another version of this program; {remedy}")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise StoreError(f"the snapshot {path} is damaged: its checksum doesn't match; {remedy}")
    dropped, records = _decode(body) if version != b"1" else (0, _decode_version_1(body))
    return Snapshot(dropped, [record.tick() for record in records])
