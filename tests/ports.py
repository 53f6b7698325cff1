"""Ports for servers in processes of their own."""

import contextlib
import random
import socket


def free_port() -> int:
    """One that nobody uses, and that no client is given by chance until its server takes it.

    Systems give out ports from 32768 on, or higher.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
