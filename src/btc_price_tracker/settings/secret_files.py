"""Secrets from files: METRICS_TOKEN_FILE names one that holds METRICS_TOKEN, as Docker and Kubernetes mount them."""

import os
from collections.abc import Iterable
from pathlib import Path

from btc_price_tracker.errors import describe_os_error

LONGEST = 4096  # bytes


def read(settings: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """What the files hold that the environment names for these settings, and what is wrong with the other files."""
    values, faults = {}, []
    for setting in settings:
        name = f"{setting.upper()}_FILE"
        if path := os.environ.get(name):
            try:
                values[setting] = _value(setting, path)
            except ValueError as error:
                faults.append(f"{name}: {error}")
            except OSError as error:
                faults.append(f"{name}: {path!r} can't be read: {describe_os_error(error)}")
    return values, faults


def _value(setting: str, path: str) -> str:
    """The one line of a file. Raises OSError, and ValueError where it holds none or isn't to be read."""
    if os.environ.get(setting.upper()):
        raise ValueError(f"{setting.upper()} is set as well; unset one of them")
    with Path(path).open("rb") as file:
        content = file.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"{path!r} has more than {LONGEST} bytes; name a file that holds the secret alone")
    text = content.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{path!r} is empty; name a file that holds the secret")
    return text
