"""Write the software bill of materials: what requirements/run.txt installs, as CycloneDX 1.6 JSON.

The same lock and the same SOURCE_DATE_EPOCH give the same bytes; licences and the graph come from the metadata of the
installed packages. One that only some platforms need (`scope: optional`) may not be installed, and so lacks both.
"""

import contextlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements/run.txt"
NAME = "btc-price-tracker"
# The graph is that of the oldest Python on Linux, whatever this one is: the others need a part of it.
TARGET = {
    "extra": "",
    "os_name": "posix",
    "platform_system": "Linux",
    "python_full_version": "3.11.0",
    "python_version": "3.11",
    "sys_platform": "linux",
}
CLASSIFIER = "License :: OSI Approved :: "

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Locked:
    """A line of a lock; `hashes` are SHA-256 of the files that may be installed."""

    requirement: Requirement
    hashes: list[str]

    @property
    def name(self) -> str:
        """The normalized name."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The only version that may be installed."""
        (only,) = self.requirement.specifier
        return only.version

    @property
    def purl(self) -> str:
        """Its package URL, https://github.com/package-url/purl-spec."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(text: str) -> list[Locked]:
    """Read a lock with hashes, as `make lock` writes it. Raises ValueError for anything but `name==version` there."""
    lines = [line.strip() for line in text.replace("\\\n", "").splitlines()]
    return [_locked(line) for line in lines if line and not line.startswith("#")]


def _locked(line: str) -> Locked:
    head, *hashes = re.split(r"\s+--hash=sha256:", line)
    requirement = Requirement(head)
    if not hashes or [version.operator for version in requirement.specifier] != ["=="]:
        raise ValueError(f"not pinned by version and hash: {head}")
    return Locked(requirement, hashes)


def licences(name: str) -> list[Json]:
    """Return what a package says of its licence: an SPDX expression where it has one."""
    fields = metadata(name)
    for field in [name for name in ("License-Expression", "License") if name in fields]:
        with contextlib.suppress(InvalidLicenseExpression):
            return [{"expression": canonicalize_license_expression(fields[field])}]
    classifiers = fields.get_all("Classifier") or []
    named = [text.removeprefix(CLASSIFIER) for text in classifiers if text.startswith(CLASSIFIER)]
    return [{"license": {"name": text}} for text in named]


def component(locked: Locked) -> Json:
    """Describe a locked package; its hashes are with its distribution, since it has a file for each platform."""
    hashes = [{"alg": "SHA-256", "content": content} for content in sorted(locked.hashes)]
    described: Json = {
        "type": "library",
        "bom-ref": locked.purl,
        "name": locked.name,
        "version": locked.version,
        "purl": locked.purl,
        "scope": "optional" if locked.requirement.marker else "required",
        "licenses": [] if locked.requirement.marker else licences(locked.name),
        "externalReferences": [{"type": "distribution", "url": locked.purl, "hashes": hashes}],
    }
    return {key: value for key, value in described.items() if value}


def _needed(requirements: Iterable[str], refs: dict[str, str]) -> Iterator[str]:
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(TARGET):
            yield refs[canonicalize_name(requirement.name)]


def bill(lock: list[Locked], project: Json, version: str, timestamp: int | None) -> Json:
    """Return the document. Raises PackageNotFoundError, or KeyError for a need that isn't locked."""
    purl = f"pkg:pypi/{NAME}@{version}"
    refs = {locked.name: locked.purl for locked in lock}
    direct = [*project["project"]["dependencies"], *project["dependency-groups"]["build"]]
    edges = {purl: direct} | {
        each.purl: requires(each.name) or [] for each in lock if not each.requirement.marker
    }
    root: Json = {"type": "application", "bom-ref": purl, "name": NAME, "version": version, "purl": purl}
    root["licenses"] = [{"expression": project["project"]["license"]}]
    about: Json = {"component": root}
    if timestamp is not None:
        about["timestamp"] = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": about,
        "components": [component(locked) for locked in lock],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(set(_needed(needs, refs)))} for ref, needs in edges.items()
        ],
    }


def main() -> None:
    """Write the bill of this checkout to standard output."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    source = (ROOT / project["tool"]["hatch"]["version"]["path"]).read_text()
    (version,) = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    document = bill(read_lock(LOCK.read_text()), project, version, int(epoch) if epoch else None)
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
