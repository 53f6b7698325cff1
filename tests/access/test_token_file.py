"""The file of the named tokens: who may read it, who may change it, and what is wrong with it."""

import os
import re
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from btc_price_tracker.access.token_file import changing, read
from btc_price_tracker.errors import TokensError
from tokens import TOKENS, write_tokens

LINE = '{"name":"a","sha256":"%s","scopes":["stream"],"created":1}' % ("0" * 64)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def test_file_is_private_and_has_no_token_in_it(path: Path) -> None:
    write_tokens(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in read(path)] == list(TOKENS)
    for secret in TOKENS.values():
        assert secret not in path.read_text()


def test_file_that_others_can_read_is_warned_of(path: Path) -> None:
    write_tokens(path)
    path.chmod(0o640)
    with capture_logs() as lines:
        assert len(read(path)) == len(TOKENS)
    assert [(line["log_level"], line["mode"]) for line in lines] == [("warning", "640")]


def test_failing_change_leaves_the_file(path: Path) -> None:
    write_tokens(path)
    before = path.read_bytes()
    with pytest.raises(IndexError), changing(path) as tokens:
        tokens.pop(len(TOKENS))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "line 1"),
        (LINE.replace('"a"', '"caf\udce9"'), "line 1"),  # a byte that is no UTF-8
        (f"{LINE}\n\n[]", "line 3"),
        (LINE.replace("stream", "everything"), "everything"),
        (LINE.replace('"a"', '"a b"'), "name"),
        (LINE.replace("0" * 64, "secret"), "sha256"),
        (LINE.replace("created", "made"), "made"),
        (f"{LINE}\n{LINE}", "two tokens with the same name"),
        (LINE + "\n" + LINE.replace('"a"', '"b"'), "two tokens with the same sha256"),
        ("[" * 100_000, "line 1"),
        ("\n" * (2**22 + 1), "bytes"),
    ],
)
def test_broken_file_is_reported_without_its_content(path: Path, content: str, fault: str) -> None:
    path.write_text(content, errors="surrogateescape")
    path.chmod(0o600)
    with pytest.raises(TokensError, match=re.escape(str(path))) as raised:
        read(path)
    assert fault in str(raised.value)
    assert "0" * 64 not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_what_is_no_file_is_refused(path: Path) -> None:
    with pytest.raises(TokensError, match=r"doesn't exist; .* token create"):
        read(path)
    os.mkfifo(path)
    with pytest.raises(TokensError, match="not a regular file"):
        read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(TokensError, match=r"not a regular file|is a directory"):
        read(path)


def test_own_symbolic_links_are_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    write_tokens(path)
    assert path.is_symlink()
    assert not (tmp_path / "elsewhere").is_symlink()
    assert len(read(path)) == len(TOKENS)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
def test_symbolic_links_of_other_users_are_refused(path: Path, tmp_path: Path) -> None:
    write_tokens(tmp_path / "theirs")
    path.symlink_to(tmp_path / "theirs")
    os.chown(path, 12345, 12345, follow_symlinks=False)
    with pytest.raises(TokensError, match="symbolic link of another user"):
        read(path)
    with pytest.raises(TokensError, match="symbolic link of another user"), changing(path):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users")
def test_file_stays_its_owners(path: Path) -> None:
    """Root may change the file of the service's user."""
    write_tokens(path)
    os.chown(path, 12345, 12346)
    write_tokens(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_lock_is_not_awaited_for_ever(path: Path) -> None:
    with changing(path), pytest.raises(TokensError, match=r"another process has held .*\.lock for 0.1 s"):  # noqa: SIM117
        with changing(path, timeout=0.1):
            pass
