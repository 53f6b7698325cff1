"""The file behind memory:///path.

It is a line that names it and its version, a line with the SHA-256 of the rest, and a Snapshot as MessagePack; in
version 1 the ticks alone, and up to version 2 with their age in seconds. It is replaced in one step, so a crash leaves
the one before.
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
from btc_price_tracker.store.written import WrittenTick

VERSION = b"3"
OLDER = (b"1", b"2")


class Snapshot(NamedTuple):
    """What a store held: how far it was dropped, and its ticks in any order."""

    dropped: int
    ticks: Collection[Tick]


_encode = Encoder().encode
_decode = Decoder(tuple[int, list[WrittenTick]]).decode
_decode_1 = Decoder(list[WrittenTick]).decode


def save(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot in place of the one before. Raises StoreError where that can't be done."""
    body = _encoded(snapshot)
    checksum = hashlib.sha256(body).hexdigest().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, path.with_name(f"{path.name}.new")) as file:
            file.write(b"%b%b\n%b\n" % (SNAPSHOT_HEADER, VERSION, checksum))
            file.write(body)
    except OSError as error:
        raise StoreError(
            f"the snapshot {path} can't be written: {error.strerror}; check its disk and its folder"
        ) from error


def _encoded(snapshot: Snapshot) -> bytearray:
    """The snapshot as MessagePack, tick by tick: encoding all at once would hold the event loop up meanwhile."""
    dropped, ticks = snapshot
    an_array_of_two, an_array_of_many = b"\x92", b"\xdd" + len(ticks).to_bytes(4)
    body = bytearray(an_array_of_two + _encode(dropped) + an_array_of_many)
    for tick in ticks:
        body += _encode(tick)
    return body


def load(path: Path) -> Snapshot:
    """What a file holds, nothing where there is none yet. Raises StoreError where it is torn or none of ours."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Snapshot(0, [])
    except OSError as error:
        raise StoreError(f"the snapshot {path} can't be read: {error.strerror}") from error
    remedy = "move it away, or name another file"
    name, _, rest = content.partition(b"\n")
    checksum, _, body = rest.partition(b"\n")
    if not name.startswith(SNAPSHOT_HEADER):
        raise StoreError(f"{path} is no snapshot of ours; {remedy}")
    version = name.removeprefix(SNAPSHOT_HEADER)
    if version not in (VERSION, *OLDER):
        raise StoreError(f"the snapshot {path} is from another version of this program; {remedy}")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise StoreError(f"the snapshot {path} is damaged: its checksum doesn't match; {remedy}")
    dropped, ticks = _decode(body) if version != b"1" else (0, _decode_1(body))
    return Snapshot(dropped, [written.tick() for written in ticks])
