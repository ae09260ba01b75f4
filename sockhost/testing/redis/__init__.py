# -*- test-case-name: tests.testing.test_redis -*-
"""
A Redis server in memory, for the tests of programs that use the client: see
L{MemoryRedis<sockhost.testing.redis.server.MemoryRedis>}.

The modules, each using only those above it::

    store       values by key, and their time
    table       what a command is; its arguments
    replies     values to bytes
    strings  keys  hashes  lists  sets  sorted_sets     commands
    session     one connection's state
    talk        commands on that
    server      the server, and what a test makes it do
    client      a client that is answered at once
    wire        connections without a network
"""

from __future__ import annotations

from sockhost.testing.redis.client import MemoryClient
from sockhost.testing.redis.server import MemoryRedis
from sockhost.testing.redis.wire import RedisServerProtocol, connect_in_memory

__all__ = ["MemoryClient", "MemoryRedis", "RedisServerProtocol", "connect_in_memory"]
