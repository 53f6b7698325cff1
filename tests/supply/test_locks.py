"""`requirements/*.txt`: every package pinned by hash, from nowhere in particular, and wanted; scripts are linted."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sbom import read_lock

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: packages for name, packages in PROJECT["optional-dependencies"].items() if name != "all"}
DECISIONS = (ROOT / "docs/decisions/dependencies.md").read_text()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_every_package_is_pinned_by_hash_and_names_no_index(path: Path) -> None:
    text = path.read_text()
    assert not re.search(
        r"://|^\s*-|@ ", re.sub(r"^    --hash=sha256:[0-9a-f]{64}\b", "", text, flags=re.MULTILINE)
    )
    assert read_lock(text)


@pytest.mark.parametrize("name", ["run", "image", "dev"])
def test_locks_satisfy_the_project(name: str) -> None:
    locked = {found.name: found for found in read_lock((ROOT / f"requirements/{name}.txt").read_text())}
    wanted = [*PROJECT["dependencies"]]
    if name != "run":
        wanted += [package for packages in EXTRAS.values() for package in packages]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)].version)


def test_development_installs_what_runs() -> None:
    run, dev = ((ROOT / f"requirements/{name}.txt").read_text() for name in ("run", "dev"))
    assert {found.purl for found in read_lock(run)} <= {found.purl for found in read_lock(dev)}


def test_the_extra_for_all_has_every_extra() -> None:
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert Requirement(everything).extras == set(EXTRAS)


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of columns, without the heading."""
    table = DECISIONS.partition(f"{heading}\n")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]


def named(cell: str) -> set[str]:
    return set(re.findall(r"[a-z][a-z-]+[a-z]", cell.lower()))


def names(requirements: list[str]) -> set[str]:
    return {Requirement(text).name for text in requirements}


def test_every_dependency_has_its_reason() -> None:
    table = {cells[0]: cells for cells in rows("| package | for | why this one |")}
    dependencies = names(PROJECT["dependencies"])
    assert {name for cell in table for name in named(cell)} & dependencies == dependencies
    for cell, (_, purpose, reason) in table.items():
        assert named(cell) & dependencies, f"{cell} is no dependency"
        assert purpose
        assert len(reason) > 20


def test_every_extra_has_its_reason() -> None:
    table = {cells[0].strip("`"): cells for cells in rows("| extra | package | why this one |")}
    assert set(table) == set(EXTRAS)
    for name, (_, packages, reason) in table.items():
        text = packages.lower()
        assert all(package.removesuffix("-py") in text for package in names(EXTRAS[name])), packages
        assert len(reason) > 20


def test_every_shell_script_is_checked() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a checkout of git")
    paths = [path for path in tracked.stdout.split("\0") if path and (ROOT / path).is_file()]
    scripts = [path for path in paths if re.match(rb"#!.*sh\b", (ROOT / path).read_bytes()[:100])]
    (checked,) = re.findall(r"/shellcheck (.*)", (ROOT / "Makefile").read_text())
    assert checked.split() == scripts
