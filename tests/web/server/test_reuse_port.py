"""REUSE_PORT: several processes listen on one port; without it, a port in use is refused."""

import socket

import pytest

from btc_price_tracker.web.server.server import listen


def test_two_listeners_share_a_port() -> None:
    (first,) = listen("127.0.0.1", 0, reuse_port=True)
    port = first.getsockname()[1]
    (second,) = listen("127.0.0.1", port, reuse_port=True)
    accepted = set()
    for listener in (first, second):
        listener.setblocking(True)
        listener.settimeout(0.01)
    for _ in range(50):  # the kernel spreads connections by a hash of their addresses
        with socket.create_connection(("127.0.0.1", port)):
            for listener in (first, second):
                try:
                    listener.accept()[0].close()
                except TimeoutError:
                    continue
                accepted.add(listener)
    assert accepted == {first, second}
    first.close()
    second.close()


@pytest.mark.parametrize(("first_shares", "second_shares"), [(False, False), (False, True), (True, False)])
def test_port_is_refused_unless_both_share_it(*, first_shares: bool, second_shares: bool) -> None:
    (first,) = listen("127.0.0.1", 0, reuse_port=first_shares)
    port = first.getsockname()[1]
    with pytest.raises(OSError, match=f"PORT {port} is already in use"):
        listen("127.0.0.1", port, reuse_port=second_shares)
    first.close()


def test_system_without_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(OSError, match="REUSE_PORT is not supported by this system"):
        listen("127.0.0.1", 0, reuse_port=True)
