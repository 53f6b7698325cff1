"""What this machine allows the service: open files, ports, disk space."""

import resource
import shutil
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from btc_price_tracker.settings import Settings
from btc_price_tracker.settings.open_files import UNLIMITED, file_limit
from btc_price_tracker.settings.values import default_max_clients
from btc_price_tracker.store.files import local_path

MANY_STREAMS = 10_000  # what a machine should carry without further settings
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
BYTES_PER_PRICE = 500  # in a local store, with the quotes of six sources
KEPT_FOR_EVER = 365 * 86_400  # seconds of growth to be ready for where nothing is deleted
MIN_FREE = 1 << 30  # bytes: below, log files and other programs soon fill the rest


class Verdict(StrEnum):
    """Whether the service works with what was found."""

    OK = "ok"
    WARN = "warn"  # it works, within limits or not for long
    FAIL = "fail"


class Finding(NamedTuple):
    """What was found, and what to do about it, if anything."""

    verdict: Verdict
    subject: str
    text: str
    remedy: str = ""


def open_files(limit: int | None = None, hard: int | None = None) -> Finding:
    """How many streams the limit of open files allows; `limit` and `hard` are those of this process."""
    limit = file_limit() if limit is None else limit
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if hard is None else hard
    streams = default_max_clients(limit)
    if limit >= UNLIMITED:
        return Finding(Verdict.OK, "open files", "no limit")
    text = f"{limit:,}, enough for {streams:,} streams"
    if streams >= MANY_STREAMS:
        return Finding(Verdict.OK, "open files", text)
    remedy = "raise it: LimitNOFILE=1048576 in systemd, --ulimit nofile=1048576 in Docker, or limits.conf"
    if hard > limit:
        remedy = f"ulimit -n {hard}"
    return Finding(Verdict.WARN, "open files", text, remedy)


def ports(settings: Settings, path: Path = PORT_RANGE) -> Finding:
    """How many connections a proxy on this machine can open, and whether PORT is free at every start."""
    try:
        first, last = map(int, path.read_text().split())
    except (OSError, ValueError):
        return Finding(Verdict.OK, "ports", "this system doesn't show its range of ephemeral ports")
    count = last - first + 1
    text = f"{count:,} ephemeral ones ({first} to {last})"
    if first <= settings.port <= last:
        return Finding(
            Verdict.WARN,
            "ports",
            f"{text}; PORT {settings.port} is one of them, so another program may have it at the next start",
            f"set a PORT below {first}, or reserve it: sysctl -w net.ipv4.ip_local_reserved_ports={settings.port}",
        )
    if 0 < settings.max_clients <= count:
        return Finding(Verdict.OK, "ports", text)
    return Finding(
        Verdict.OK,
        "ports",
        f"{text}: a reverse proxy on this machine carries at most so many streams to one address and port",
        'for more: sysctl -w net.ipv4.ip_local_port_range="1024 65535", or instances on several ports (REUSE_PORT)',
    )


def disk(settings: Settings) -> Finding:
    """Whether the disk has room for what the store will keep."""
    path = local_path(settings.store_url)
    if path is None:
        return Finding(Verdict.OK, "disk", "the store is not on this machine's disk")
    folder = next(each for each in path.parents if each.is_dir())
    free = shutil.disk_usage(folder).free
    used = 0
    with suppress(OSError):
        used = path.stat().st_size
    kept = (
        settings.store_size
        if path_is_snapshot(settings)
        else (settings.retention or KEPT_FOR_EVER) / settings.interval
    )
    needed = max(round(kept * BYTES_PER_PRICE) - used, 0) + MIN_FREE
    duration = "a year" if not settings.retention else "RETENTION"
    text = f"{_size(free)} free in {folder}; {duration} of prices and a reserve take {_size(needed)} more"
    if free >= needed:
        return Finding(Verdict.OK, "disk", text)
    return Finding(
        Verdict.WARN,
        "disk",
        text,
        "free some, shorten RETENTION, or set STORE_URL to another disk or a database",
    )


def path_is_snapshot(settings: Settings) -> bool:
    """Whether the store is a snapshot of what is in memory."""
    return settings.store_url.startswith("memory:")


def _size(number: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if number >= 10 or unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"
