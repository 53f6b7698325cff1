"""Secrets from files: METRICS_TOKEN_FILE names the file with METRICS_TOKEN, as Docker and Kubernetes mount it.

Where that is not set, the credential `metrics_token` of systemd is read (`LoadCredential=metrics_token:…`).
"""

import os
from collections.abc import Iterable
from pathlib import Path

from btc_price_tracker.errors import describe_os_error

MAX_BYTES = 4096


def read(settings: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The contents of the files that hold these settings, and one sentence for each bad file."""
    values, faults = {}, []
    for setting in settings:
        name, path = _file_of(setting)
        if path:
            try:
                values[setting] = _read(setting, path)
            except ValueError as error:
                faults.append(f"{name}: {error}")
            except OSError as error:
                faults.append(f"{name}: {path!r} can't be read: {describe_os_error(error)}")
    return values, faults


def _file_of(setting: str) -> tuple[str, str]:
    """What names the file of a setting, for messages, and its path; empty if there is none."""
    name = f"{setting.upper()}_FILE"
    if path := os.environ.get(name):
        return name, path
    folder = os.environ.get("CREDENTIALS_DIRECTORY")  # see systemd.exec(5)
    credential = Path(folder, setting) if folder else None
    is_there = credential is not None and credential.exists()
    return f"credential {setting}", str(credential) if is_there else ""


def _read(setting: str, path: str) -> str:
    """The one line of a file. Raises OSError, and ValueError for a file that holds no secret or is not to be read."""
    if os.environ.get(setting.upper()):
        raise ValueError(f"{setting.upper()} is set as well; unset one of them")
    with Path(path).open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{path!r} has more than {MAX_BYTES} bytes; name a file that holds the secret alone")
    text = content.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError(f"{path!r} is empty; name a file that holds the secret")
    return text
