"""What other users plant in a folder that they may write to is neither followed nor used."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")

US, STRANGER = 12_001, 12_002  # user ids; no such users need exist

# Run as root, which becomes one user after the other. Arguments: the owner of the folder, its mode, who plants, what,
# at which name; who opens the store, its URL. Prints the error, if there is one.
SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from btc_price_tracker.cli.transfer import open_export
from btc_price_tracker.errors import StoreError
from btc_price_tracker.store import open_store
from live import a_tick
import btc_price_tracker.store.sqlite, btc_price_tracker.store.snapshot

folder, owner, mode, planter, what, name, opener, url = sys.argv[1:]
os.umask(0)
os.chown(folder, int(owner), -1)
os.chmod(folder, int(mode, 8))
os.chdir(folder)

async def use():
    store = await open_store(url, capacity=10)
    await store.append([a_tick(1)])
    await store.close()

def export():
    with open_export(url, "memory://") as file:
        file.write("prices")

os.seteuid(int(planter))
match what:
    case "link": Path(name).symlink_to("precious")
    case "links": Path("second").symlink_to("precious"), Path(name).symlink_to("second")
    case "folder link": Path(name).symlink_to(".")
    case "file": Path(name).write_bytes(b"")
os.seteuid(0)
os.seteuid(int(opener))
try:
    asyncio.run(use()) if "://" in url else export()
except (StoreError, OSError) as error:
    print(error)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others can reach, unlike pytest's."""
    with TemporaryDirectory() as name:
        parent = Path(name).resolve()
        parent.chmod(0o711)
        folder = parent / "shared"
        folder.mkdir()
        (folder / "precious").write_text("precious")
        (folder / "precious").chmod(0o666)
        yield folder


def error_of(folder: Path, *words: object) -> str:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *map(str, words)],
        env={
            # Another user can't write what measures coverage.
            **{name: value for name, value in os.environ.items() if not name.startswith("COV")},
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not result.stderr
    return result.stdout.strip()


SQLITE, MEMORY, EXPORT = "sqlite:///{}/prices", "memory://{}/prices", "{}/prices"


@pytest.mark.parametrize(
    ("url", "opener"), [(SQLITE, US), (SQLITE, 0), (MEMORY, US), (EXPORT, US), (EXPORT, 0)]
)
def test_a_link_of_another_user_is_not_followed(folder: Path, url: str, opener: int) -> None:
    error = error_of(folder, 0, "1777", STRANGER, "link", "prices", opener, url.format(folder))
    assert error.startswith(f"{folder}/prices belongs to another user (uid {STRANGER})")
    assert (folder / "precious").read_text() == "precious"
    assert {path.name for path in folder.iterdir()} == {"precious", "prices"}


def test_a_folder_that_is_a_link_of_another_user_is_not_followed(folder: Path) -> None:
    error = error_of(
        folder, 0, "1777", STRANGER, "folder link", "there", US, f"sqlite:///{folder}/there/prices"
    )
    assert error.startswith(f"{folder}/there belongs to another user")
    assert not (folder / "prices").exists()


def test_a_link_behind_a_link_is_not_followed(folder: Path) -> None:
    (folder / "ours").symlink_to("prices")
    error = error_of(folder, 0, "1777", STRANGER, "link", "prices", US, f"sqlite:///{folder}/ours")
    assert error.startswith(f"{folder}/prices belongs to another user")


@pytest.mark.parametrize(
    ("url", "suffix"), [(SQLITE, ""), (SQLITE, "-wal"), (SQLITE, ".lock"), (MEMORY, ""), (MEMORY, ".lock")]
)
def test_a_file_of_another_user_is_not_used(folder: Path, url: str, suffix: str) -> None:
    error = error_of(folder, 0, "1777", STRANGER, "file", f"prices{suffix}", US, url.format(folder))
    assert error.startswith(f"{folder}/prices{suffix} belongs to another user (uid {STRANGER})")


@pytest.mark.parametrize("planter", [0, US])
def test_links_of_ours_and_of_root_are_followed(folder: Path, planter: int) -> None:
    (folder / "precious").unlink()
    assert not error_of(folder, 0, "1777", planter, "links", "prices", US, SQLITE.format(folder))
    assert (folder / "precious").exists()


@pytest.mark.parametrize("url", [SQLITE, MEMORY])
def test_root_uses_the_store_of_a_service(folder: Path, url: str) -> None:
    """`sudo btc-price-tracker export`, of a store in a folder of the user that the service runs as."""
    assert not error_of(folder, US, "0755", US, "nothing", "", US, url.format(folder))
    assert not error_of(folder, US, "0755", US, "nothing", "", 0, url.format(folder))
    (folder / "prices.lock").unlink()
    assert not error_of(folder, US, "0755", US, "nothing", "", 0, url.format(folder))
    assert {path.stat().st_uid for path in folder.glob("prices*")} == {US}
    assert not error_of(folder, US, "0755", US, "nothing", "", US, url.format(folder))


@pytest.mark.parametrize(("url", "mode"), [(SQLITE, "0700"), (SQLITE, "0755"), (MEMORY, "0755")])
def test_the_folder_of_another_user_is_named_in_the_error(folder: Path, url: str, mode: str) -> None:
    error = error_of(folder, STRANGER, mode, STRANGER, "nothing", "", US, url.format(folder))
    assert error.startswith(f"{folder}/prices can't be opened: Permission denied; check {folder}/prices")
