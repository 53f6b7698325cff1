"""Secrets from files that METRICS_TOKEN_FILE and the like name."""

from pathlib import Path

import pytest

from btc_price_tracker.errors import SettingsError
from btc_price_tracker.settings import load


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STORE_URL", raising=False)
    monkeypatch.setenv("METRICS_TOKEN_FILE", str(tmp_path / "token"))
    return tmp_path / "token"


def load_secret(name: str) -> str:
    secret = getattr(load({}), name)
    return str(secret.get_secret_value() if name != "store_url" else secret)


@pytest.mark.parametrize("content", [b"geheim", b"geheim\n", b"geheim\r\n"])
def test_secret_is_the_one_line_of_its_file(token: Path, content: bytes) -> None:
    token.write_bytes(content)
    assert load_secret("metrics_token") == "geheim"


def test_store_url_file_is_read_unless_the_flag_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORE_URL", raising=False)
    monkeypatch.setenv("STORE_URL_FILE", str(tmp_path / "url"))
    assert load({"store_url": "memory://"}).store_url == "memory://"
    (tmp_path / "url").write_text("postgresql://u:geheim@h/d\n")
    assert load_secret("store_url") == "postgresql://u:geheim@h/d"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read: no such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"x" * 5000, "has more than 4096 bytes"),
        (b"two\nlines\n", "give printable ASCII characters without blanks"),
        (b"\xff\xfe", "give printable ASCII characters without blanks"),
    ],
)
def test_file_without_a_secret_is_reported_with_all_other_errors(
    token: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        token.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        load({"port": "x"})
    port, fault = sorted(str(raised.value).splitlines(), reverse=True)
    assert port == "  PORT: give a whole number, not 'x'"
    assert fault.startswith("  METRICS_TOKEN")
    assert message in fault
    assert "two" not in fault


def test_directory_is_reported_as_one(token: Path) -> None:
    token.mkdir()
    with pytest.raises(SettingsError, match=r"METRICS_TOKEN_FILE: .*can't be read: is a directory"):
        load({})


def test_secret_in_both_variable_and_file_is_refused(token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token.write_text("geheim")
    monkeypatch.setenv("METRICS_TOKEN", "anders")
    with pytest.raises(SettingsError, match="METRICS_TOKEN_FILE: METRICS_TOKEN is set as well") as raised:
        load({})
    assert "anders" not in str(raised.value)


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What systemd gives a service with LoadCredential=."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("STORE_URL", raising=False)
    return tmp_path


def test_credential_of_systemd_is_read_like_a_file(credentials: Path) -> None:
    (credentials / "metrics_token").write_text("geheim\n")
    (credentials / "store_url").write_text("postgresql://u:geheim@h/d\n")
    assert load_secret("metrics_token") == "geheim"
    assert load_secret("store_url") == "postgresql://u:geheim@h/d"


def test_setting_without_a_credential_keeps_its_default(credentials: Path) -> None:
    assert load({"store_url": f"sqlite:///{credentials}/x.db"}).metrics_token is None


def test_named_file_takes_precedence_over_a_credential(
    credentials: Path, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (credentials / "metrics_token").write_text("of systemd")
    token.write_text("geheim")
    assert load_secret("metrics_token") == "geheim"
    monkeypatch.delenv("METRICS_TOKEN_FILE")


def test_flag_takes_precedence_over_a_credential(credentials: Path) -> None:
    (credentials / "store_url").write_text("postgresql://u:geheim@h/d")
    assert load({"store_url": "memory://"}).store_url == "memory://"


def test_faulty_credential_is_named(credentials: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (credentials / "metrics_token").write_text("")
    with pytest.raises(SettingsError, match=r"credential metrics_token: .* is empty"):
        load({"store_url": "memory://"})
    (credentials / "metrics_token").write_text("geheim")
    monkeypatch.setenv("METRICS_TOKEN", "anders")
    with pytest.raises(SettingsError, match="credential metrics_token: METRICS_TOKEN is set as well"):
        load({"store_url": "memory://"})
