"""`serve`: addresses that it can't listen on."""

import socket

import pytest

from command import run


def test_an_address_in_use_is_said_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", PORT=port, STORE_URL="memory://")
    assert result.returncode == 1
    assert result.stderr.startswith(f"btc-price-tracker: PORT {port} of 127.0.0.1 is in use: ")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("nowhere.invalid", "'nowhere.invalid' can't be resolved"),
        ("a..b", "'a..b' can't be resolved"),
        ("192.0.2.1", "192.0.2.1 is no address of this machine"),
    ],
)
def test_an_address_that_is_not_ours_is_said_in_words(host: str, words: str) -> None:
    result = run("serve", HOST=host, PORT="0", STORE_URL="memory://")
    assert result.returncode == 1
    assert result.stderr.startswith(f"btc-price-tracker: HOST {words}: ")
