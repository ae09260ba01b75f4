"""
A server of one's own to ask about its commands.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hiredis

from sockhost.redis.resp import encode_command
from tests.functional.servers import ValkeyServer


@contextmanager
def ask() -> Iterator[Callable[..., Any]]:
    """Start a server, and have a function that executes a command there."""
    server = ValkeyServer()
    try:
        server.start()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(server.path)

            def execute(*args: str) -> Any:
                connection.sendall(encode_command(args))
                reader = hiredis.Reader(notEnoughData=Ellipsis)
                while (reply := reader.gets()) is Ellipsis:
                    reader.feed(connection.recv(1 << 20))
                return reply

            yield execute
    finally:
        server.remove()
