"""When a certificate expires: the one field that Python's `ssl` shows of trusted certificates only."""

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION = 0xA0  # the tag of a field that version 1 lacks
_FORMATS = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}  # UTCTime, GeneralizedTime (RFC 5280, 4.1.2.5)


def expiry(pem: str) -> datetime:
    """The last moment of the first certificate in a text. Raises ValueError if there is none that can be read."""
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----")
    try:
        (_, certificate), *_ = _elements(ssl.PEM_cert_to_DER_cert(found[0]))
        (_, signed), *_ = _elements(certificate)
        fields = [each for each in _elements(signed) if each[0] != _VERSION]
        _, _, _, (_, times), *_ = fields  # serial number, signature, issuer
        _, end = (_moment(tag, content) for tag, content in _elements(times))
    except (ValueError, IndexError, KeyError):
        raise ValueError("holds a damaged certificate") from None
    return end


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The tag and content of each element (X.690, 8.1). Raises IndexError or ValueError if one is cut off."""
    at = 0
    while at < len(data):
        tag, size, start = data[at], data[at + 1], at + 2
        if size >= 0x80:
            start += size - 0x80
            size = int.from_bytes(data[at + 2 : start])
        at = start + size
        if at > len(data):
            raise ValueError(f"{size} bytes are announced, {len(data) - start} are left")
        yield tag, data[start:at]


def _moment(tag: int, content: bytes) -> datetime:
    moment = datetime.strptime(content.decode("ascii"), _FORMATS[tag]).replace(tzinfo=UTC)
    # Two digits from 50 on are of the last century (RFC 5280, 4.1.2.5.1); Python begins it with 69.
    return (
        moment.replace(year=moment.year - 100) if _FORMATS[tag][1] == "y" and moment.year >= 2050 else moment
    )
