"""`serve`: addresses on which it can't listen."""

import socket

import pytest

from command import run


def test_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("serve", PORT=port, STORE_URL="memory://")
    assert result.returncode == 1
    assert result.stderr.startswith(f"btc-price-tracker: PORT {port} ")
    assert "in use" in result.stderr


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("nowhere.invalid", "'nowhere.invalid' can't be resolved"),
        ("a..b", "'a..b' can't be resolved"),
        ("192.0.2.1", "192.0.2.1 "),
    ],
)
def test_host_that_is_not_this_machine_is_named(host: str, message: str) -> None:
    result = run("serve", HOST=host, PORT="0", STORE_URL="memory://")
    assert result.returncode == 1
    assert result.stderr.startswith(f"btc-price-tracker: HOST {message}")
