"""The PROXY protocol: what a proxy sends before the client's first byte, as text (v1) or binary (v2).

By HAProxy's specification, doc/proxy-protocol.txt of 2020-03-05, which the sections refer to.
"""

import re
import socket
from typing import NamedTuple

from btc_price_tracker.web.address.groups import packed

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V1_MAX = 107  # bytes of a line with its CRLF (2.1)
_V2_HEAD = 16  # bytes: signature, version and command, family and protocol, length (2.2)
_LINE = re.compile(rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) (\S+) (\S+) (\S+) (\S+))\r\n")
_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")
_STREAM_FAMILIES = {0x11: (socket.AF_INET, 4), 0x21: (socket.AF_INET6, 16)}  # TCP only (2.2)


class Preface(NamedTuple):
    """What precedes a connection's data, and how many bytes of it."""

    size: int  # 0: the connection begins with data
    client: tuple[str, int] | None = None  # None: there is none, or the proxy speaks for itself


NONE = Preface(0)


def read(data: bytes) -> Preface | None:
    """The preface with which `data` begins; None while it may still become one. Raises ValueError for an invalid one.

    Unknown families and the extensions (TLV) of v2 are skipped.
    """
    if data.startswith(_V2):
        return _read_v2(data)
    if data.startswith(_V1):
        return _read_v1(data)
    return None if _V2.startswith(data) or _V1.startswith(data) else NONE


def _read_v1(data: bytes) -> Preface | None:
    end = data.find(b"\r\n", 0, _V1_MAX)
    if end < 0:
        if len(data) >= _V1_MAX:
            raise ValueError("the line of the PROXY protocol has no end")
        return None
    line = _LINE.fullmatch(data[: end + 2])
    if line is None:
        raise ValueError("the line of the PROXY protocol is invalid")
    if line[1] is None:
        return Preface(end + 2)
    family, source, destination, *ports = line.groups()
    if not all(_PORT.fullmatch(port) and int(port) <= 65535 for port in ports):
        raise ValueError("a port of the PROXY protocol is invalid")
    hosts = [host.decode("latin-1") for host in (source, destination)]
    if any(packed(host) is None or (":" in host) != (family == b"TCP6") for host in hosts):
        raise ValueError("an address of the PROXY protocol is invalid")
    return Preface(end + 2, (hosts[0], int(ports[0])))


def _read_v2(data: bytes) -> Preface | None:
    if len(data) < _V2_HEAD:
        return None
    version_and_command, kind = data[12], data[13]
    size = _V2_HEAD + int.from_bytes(data[14:16])
    if version_and_command not in (0x20, 0x21):
        raise ValueError("the version or the command of the PROXY protocol is unknown")
    if len(data) < size:
        return None
    if version_and_command == 0x20 or kind not in _STREAM_FAMILIES:  # LOCAL, such as a health check
        return Preface(size)
    family, length = _STREAM_FAMILIES[kind]
    addresses = data[_V2_HEAD:size]
    if len(addresses) < 2 * length + 4:
        raise ValueError("the addresses of the PROXY protocol are incomplete")
    port = int.from_bytes(addresses[2 * length : 2 * length + 2])
    return Preface(size, (socket.inet_ntop(family, addresses[:length]), port))
