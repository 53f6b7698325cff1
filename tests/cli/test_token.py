"""`token create`, `list` and `revoke`, as an operator runs them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from btc_price_tracker.access.registry import Access
from btc_price_tracker.access.scopes import ALL
from btc_price_tracker.access.token_file import changing, read
from command import run
from tokens import token


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "tokens")


def test_created_token_is_shown_once_and_is_valid_until_revoked(path: str) -> None:
    created = run(
        "token", "create", "grafana", "--scopes", "metrics, docs", "--max-streams", "7", TOKENS_FILE=path
    )
    assert (created.returncode, len(created.stdout.split())) == (0, 1)
    secret = created.stdout.strip()
    assert secret not in created.stderr
    assert len(secret) >= 43  # 256 bits in base64
    assert secret not in Path(path).read_text()

    access = Access(path=Path(path))
    access.load()
    grant = access.find(secret)
    assert grant is not None
    assert (grant.name, sorted(grant.scopes), grant.max_streams) == ("grafana", ["docs", "metrics"], 7)

    listed = run("token", "list", TOKENS_FILE=path)
    assert listed.returncode == 0
    heading, row = listed.stdout.splitlines()
    assert heading.split()[:2] == ["name", "scopes"]
    assert row.split()[:3] == ["grafana", "metrics,docs", "7"]
    for word in (secret, Path(path).read_text().split('"sha256":"')[1][:64]):
        assert word not in listed.stdout + listed.stderr

    revoked = run("token", "revoke", "grafana", "--tokens-file", path)
    assert (revoked.returncode, revoked.stdout) == (0, "")
    access.load()
    assert access.find(secret) is None


def test_usual_scopes_are_all_but_the_metrics(path: str) -> None:
    assert run("token", "create", "app", TOKENS_FILE=path).returncode == 0
    assert "stream,history,sources,docs " in run("token", "list", TOKENS_FILE=path).stdout


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        ("create", 2, "token create needs the name of a token"),
        ("create two names", 2, "too many arguments"),
        ("create bad/name", 2, "give up to 64 letters"),
        ("create x --scopes write", 2, "give one or more of stream, history"),
        ("create x --scopes ,", 2, "give one or more of stream, history"),
        ("create x --max-streams -1", 2, "max-streams"),
        ("create known", 1, "has a token 'known' already"),
        ("list known", 2, "token list takes no name"),
        ("list --scopes docs", 2, "takes neither --scopes nor"),
        ("revoke", 2, "token revoke needs the name"),
        ("revoke unknown", 1, "has no token 'unknown'; it has known"),
        ("destroy known", 2, "invalid choice"),
        ("", 2, "action"),
    ],
)
def test_mistakes_are_explained(path: str, words: str, code: int, fault: str) -> None:
    with changing(Path(path)) as tokens:
        tokens.append(token("known", "secret", ALL))
    before = Path(path).read_bytes()
    result = run("token", *words.split(), TOKENS_FILE=path)
    assert (result.returncode, result.stdout) == (code, "")
    assert fault in result.stderr
    assert "Traceback" not in result.stderr
    assert Path(path).read_bytes() == before


@pytest.mark.parametrize("action", [["create", "x"], ["list"], ["revoke", "x"]])
def test_tokens_file_is_asked_for(action: list[str]) -> None:
    result = run("token", *action)
    assert result.returncode == 2
    assert "TOKENS_FILE: give the path" in result.stderr


def test_file_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    result = run("token", "create", "x", TOKENS_FILE=str(tmp_path / "missing" / "tokens"))
    assert (result.returncode, result.stdout) == (1, "")
    assert "can't be written: no such file" in result.stderr


def test_check_reads_the_file(path: str) -> None:
    settings = {"TOKENS_FILE": path, "STORE_URL": "memory://"}
    missing = run("check", **settings)
    assert missing.returncode == 1
    assert "doesn't exist; `btc-price-tracker token create NAME` creates it" in missing.stderr
    assert run("serve", "--port", "0", **settings).returncode == 1
    run("token", "create", "x", TOKENS_FILE=path)
    assert "TOKENS_FILE names 1 access tokens." in run("check", **settings).stdout


def test_several_at_once_lose_nothing(path: str) -> None:
    names = [f"t{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        results = list(pool.map(lambda name: run("token", "create", name, TOKENS_FILE=path), names))
    assert [result.returncode for result in results] == [0] * len(names)
    assert sorted(each.name for each in read(Path(path))) == names
