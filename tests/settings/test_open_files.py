"""The limit of open files."""

import resource
import subprocess
import sys

import pytest

from btc_price_tracker.settings import open_files

CHECK = [sys.executable, "-m", "btc_price_tracker", "check", "--store-url", "memory://"]


def test_command_raises_the_limit_and_max_clients_follows() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096
    result = subprocess.run(
        CHECK,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (600, most)),
    )
    assert f"MAX_CLIENTS={most - 512}\n" in result.stdout


def test_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    before = open_files.file_limit()
    open_files.raise_file_limit()
    assert open_files.file_limit() == before


def test_unlimited_is_a_large_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert open_files.file_limit() == open_files.UNLIMITED
