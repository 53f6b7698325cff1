"""The Dockerfile without Docker: its steps in roots made by debootstrap, and the program in the last of them."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from deploy.proxies import DEPLOY, need

DEBIAN = (
    "stable",
    "python3,python3-venv,ca-certificates",
)  # instead of python:…-slim, which is Debian as well
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What the machine says about how to reach the network, so that it need not be known here.
NETWORK = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")


@dataclass(slots=True)
class Stage:
    """A root, and what the instructions so far have set."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": SYSTEM_PATH})
    folder: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def chroot(self, *command: str) -> list[str]:
        path = f"PATH={self.environment['PATH']}"
        return [need("chroot"), f"--userspec={self.user}", str(self.root), "env", path, *command]

    def inside(self, path: str) -> Path:
        """Where a path of the container is on this machine."""
        return self.root / Path(self.folder, path).relative_to("/")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    for line in filter(str.strip, text.splitlines()):
        word, _, rest = line.strip().partition(" ")
        yield word, rest.strip()


def build(folder: Path) -> Stage:
    """The last stage of the Dockerfile, once all have been built."""
    stages: dict[str, Stage] = {}
    for word, rest in instructions((DEPLOY / "Dockerfile").read_text()):
        if word == "FROM":
            name = rest.partition(" AS ")[2] or "last"
            stages[name] = stage = Stage(folder / name)
            subprocess.run(["cp", "-a", str(debian()), str(stage.root)], check=True)
        else:
            _execute(stage, word, rest, stages)
    return stages["last"]


def _execute(stage: Stage, word: str, rest: str, stages: dict[str, Stage]) -> None:
    match word:
        case "RUN":
            _run(stage, rest)
        case "COPY":
            _copy(stage, rest, stages)
        case "ENV":
            for name, value in re.findall(r"(\w+)=(\S+)", rest):
                stage.environment[name] = value.replace("$PATH", stage.environment["PATH"])
        case "WORKDIR":
            stage.folder = rest
            stage.inside(".").mkdir(parents=True, exist_ok=True)
        case "USER":
            stage.user = rest
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
        case "HEALTHCHECK":
            stage.health = json.loads(rest.partition(" CMD ")[2])
        case _:
            assert word in {"VOLUME", "EXPOSE", "STOPSIGNAL", "CMD"}, word


def _run(stage: Stage, line: str) -> None:
    network = {
        name: value
        for name, value in os.environ.items()
        if re.match(r"PIP_|https?_proxy$", name, re.IGNORECASE)
    }
    script = f"cd {stage.folder} && {line}"
    done = subprocess.run(
        stage.chroot("sh", "-ec", script),
        env={**network, **stage.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


def _copy(stage: Stage, rest: str, stages: dict[str, Stage]) -> None:
    *paths, target = rest.split()
    origin = DEPLOY.parent
    if paths[0].startswith("--from="):
        origin = stages[paths.pop(0).removeprefix("--from=")].root
    for path in paths:
        found = origin / path.lstrip("/")
        to = stage.inside(target)
        if found.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(found, to, symlinks=True, dirs_exist_ok=True, ignore=ignored)
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, to)


def debian() -> Path:
    """A small Debian with Python, made once and kept; skips where this machine doesn't allow it."""
    if os.getuid():
        pytest.skip("a root of its own takes root's rights")
    suite, packages = DEBIAN
    kept = user_cache_path("btc-price-tracker-tests") / "debian"
    if not (kept / "usr/bin/python3").exists() or not (kept / "complete").exists():
        shutil.rmtree(kept, ignore_errors=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        command = [need("debootstrap"), "--variant=minbase", f"--include={packages}", suite, str(kept)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"debootstrap fails: {done.stdout[-300:]}{done.stderr[-300:]}")
        (kept / "complete").touch()
    for path in filter(os.path.exists, NETWORK):
        shutil.copy(path, kept / path.lstrip("/"))
    return kept
