"""Wheel and sdist: the same bytes wherever and whenever they are built, and nothing in them that doesn't belong."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from btc_price_tracker import __version__

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/btc_price_tracker"
NAME = f"btc_price_tracker-{__version__}"
FILES = ["pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "Makefile", ".gitignore"]
SUFFIXES = {".py", ".typed", ".js", ".css", ".html", ".svg", ".md", ".gz", ""}  # "": LICENSE
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
VENDORED = "licenses/src/btc_price_tracker/web/page/vendor/"


def build(folder: Path, mask: int, environment: dict[str, str], *, caches: bool) -> Path:
    """Copy the sources under a umask, build both, and return the folder that has them."""
    previous = os.umask(mask)
    try:
        _copy(folder, caches=caches)
    finally:
        os.umask(previous)
    variables = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1795770000"} | environment
    command = [sys.executable, "-m", "hatchling", "build", "--directory", "out"]
    done = subprocess.run(
        command, cwd=folder, env=variables, umask=mask, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


def _copy(folder: Path, *, caches: bool) -> None:
    ignored = None if caches else shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src", folder / "src", copy_function=shutil.copyfile, ignore=ignored)
    for name in FILES:
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "deploy/tls").mkdir(parents=True)
    (folder / "deploy/tls/tls.key").write_text("secret")
    (folder / ".env").write_text("METRICS_TOKEN=secret")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("one") / "a", 0o022, {"TZ": "UTC"}, caches=False)


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """In another folder, later, as another kind of user, with other languages, and caches that lie about."""
    assert built.exists()
    other = {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "7"}
    return build(tmp_path_factory.mktemp("another") / "longer-name", 0o077, other, caches=True)


@pytest.mark.parametrize("suffix", ["-py3-none-any.whl", ".tar.gz"])
def test_two_builds_are_byte_identical(built: Path, rebuilt: Path, suffix: str) -> None:
    assert (built / f"{NAME}{suffix}").read_bytes() == (rebuilt / f"{NAME}{suffix}").read_bytes()


def test_the_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        archive.extractall(tmp_path)
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    variables = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": "1795770000"}
    subprocess.run(command, cwd=tmp_path / NAME, env=variables, check=True, capture_output=True)
    wheel = f"{NAME}-py3-none-any.whl"
    assert (tmp_path / wheel).read_bytes() == (built / wheel).read_bytes()


def source_files() -> set[str]:
    paths = [path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(SOURCE.parent).as_posix() for path in paths}


def test_the_wheel_has_the_package_and_its_metadata(built: Path) -> None:
    with zipfile.ZipFile(built / f"{NAME}-py3-none-any.whl") as wheel:
        names = {entry.filename for entry in wheel.infolist()}
        writable = [entry.filename for entry in wheel.infolist() if entry.external_attr >> 16 & 0o022]
    package = {name for name in names if name.startswith("btc_price_tracker/")}
    assert package == source_files()
    assert {PurePosixPath(name).suffix for name in package} <= SUFFIXES
    about = {name.removeprefix(f"{NAME}.dist-info/") for name in names - package}
    assert {name for name in about if not name.startswith(VENDORED)} == METADATA
    assert writable == []


def test_the_sdist_has_what_a_build_needs(built: Path) -> None:
    with tarfile.open(built / f"{NAME}.tar.gz") as archive:
        entries = archive.getmembers()
    files = {entry.name.removeprefix(f"{NAME}/") for entry in entries}
    expected = {f"src/{name}" for name in source_files()}
    top = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "PKG-INFO", ".gitignore"}
    assert files == expected | top
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(0, 0, "", "")}


def test_caches_and_strangers_stay_out(rebuilt: Path) -> None:
    with zipfile.ZipFile(rebuilt / f"{NAME}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
    with tarfile.open(rebuilt / f"{NAME}.tar.gz") as sdist:
        names += sdist.getnames()
    parts = {part for name in names for part in name.split("/")}
    assert "__init__.py" in parts
    assert not parts & {"__pycache__", "tls", "tls.key", ".env"}
