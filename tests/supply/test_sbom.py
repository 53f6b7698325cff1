"""`make sbom`: a bill of materials that is valid, complete and the same each time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sbom import LOCK, read_lock

SCRIPT = LOCK.parent / "sbom.py"
PINNED = f"attrs==26.1.0 \\\n    --hash=sha256:{'c6' * 32}\n"


def written(folder: Path, **environment: str) -> str:
    command = [sys.executable, str(SCRIPT)]
    variables = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1795770000"} | environment
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def text() -> str:
    return written(LOCK.parent)


@pytest.fixture(scope="module")
def bill(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return document


def test_the_bill_is_valid(text: str) -> None:
    assert json.loads(text)["specVersion"] == "1.6"
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"type": "library"', '"type": "thing"')) is not None


def test_the_bill_lists_every_locked_package(bill: dict[str, Any]) -> None:
    lock = read_lock(LOCK.read_text())
    assert [component["purl"] for component in bill["components"]] == [locked.purl for locked in lock]
    for component, locked in zip(bill["components"], lock, strict=True):
        (distribution,) = component["externalReferences"]
        assert {found["content"] for found in distribution["hashes"]} == set(locked.hashes)


def test_every_package_has_its_licence_and_its_needs(bill: dict[str, Any]) -> None:
    needs = {entry["ref"] for entry in bill["dependencies"]}
    for component in bill["components"]:
        assert ("licenses" in component) == (component["scope"] == "required"), component["name"]
        assert (component["bom-ref"] in needs) == (component["scope"] == "required"), component["name"]


def reachable(bill: dict[str, Any]) -> Iterator[str]:
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    waiting, seen = [bill["metadata"]["component"]["bom-ref"]], set()
    while waiting:
        ref = waiting.pop()
        if ref not in seen:
            seen.add(ref)
            yield ref
            waiting += needs[ref]


def test_every_package_is_needed_by_another(bill: dict[str, Any]) -> None:
    required = {component["bom-ref"] for component in bill["components"] if component["scope"] == "required"}
    assert required <= set(reachable(bill))


def test_the_bill_is_reproducible(text: str, tmp_path: Path) -> None:
    assert written(tmp_path, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7") == text
    assert '"timestamp": "2026-11-27T09:00:00Z"' in text


def test_the_bill_names_no_host_but_that_of_its_schema(text: str) -> None:
    assert text.count("://") == text.count('"$schema": "http://cyclonedx.org/schema/') == 1


@pytest.mark.parametrize("line", ["attrs==26.1.0\n", PINNED.replace("==", ">=")])
def test_a_lock_without_pins_is_refused(line: str) -> None:
    assert read_lock(PINNED)[0].version == "26.1.0"
    with pytest.raises(ValueError, match="not pinned by version and hash: attrs"):
        read_lock(line)
