"""
The server in memory beside a real one, and the clients of both against the
contract.
"""

from __future__ import annotations

import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sockhost.interfaces import RedisReplyError
from sockhost.redis import connect
from sockhost.redis.resp import RespReader, encode_command
from sockhost.testing.contracts import RedisFixture, redis_contract_tests
from sockhost.testing.redis import MemoryRedis
from sockhost.testing.redis.replies import encode_reply
from sockhost.testing.redis.table import COMMANDS
from tests.functional.servers import ValkeyServer
from tests.testing.redis_table import TABLE, check

CLOCK: Any = IReactorTime(reactor)
KEYS = st.sampled_from([b"a", b"b", b"c"])
WORDS = st.sampled_from([b"a", b"b", b"1", b"2.5", b"-3", b"", b"x y"])
NUMBERS = st.sampled_from([b"0", b"1", b"-1", b"2", b"-2", b"7", b"x"])
SCORES = st.sampled_from([b"0", b"1.5", b"(1", b"-inf", b"+inf", b"x"])

# What is sent, word by word; commands whose replies are the server's choice are
# left out.
SHAPES: dict[str, list[Any]] = {
    "GET": [KEYS],
    "SET": [KEYS, WORDS],
    "SET NX": [KEYS, WORDS, st.just(b"NX"), st.just(b"GET")],
    "SET XX": [KEYS, WORDS, st.just(b"XX"), st.just(b"KEEPTTL")],
    "SETNX": [KEYS, WORDS],
    "GETSET": [KEYS, WORDS],
    "GETDEL": [KEYS],
    "MGET": [KEYS, KEYS],
    "MSET": [KEYS, WORDS, KEYS, WORDS],
    "MSETNX": [KEYS, WORDS, KEYS, WORDS],
    "APPEND": [KEYS, WORDS],
    "STRLEN": [KEYS],
    "GETRANGE": [KEYS, NUMBERS, NUMBERS],
    "SETRANGE": [KEYS, NUMBERS, WORDS],
    "INCR": [KEYS],
    "DECRBY": [KEYS, NUMBERS],
    "DEL": [KEYS, KEYS],
    "EXISTS": [KEYS, KEYS],
    "TYPE": [KEYS],
    "RENAME": [KEYS, KEYS],
    "RENAMENX": [KEYS, KEYS],
    "EXPIRE": [KEYS, st.sampled_from([b"0", b"100", b"-1"])],
    "TTL": [KEYS],
    "PERSIST": [KEYS],
    "DBSIZE": [],
    "HSET": [KEYS, WORDS, WORDS],
    "HSETNX": [KEYS, WORDS, WORDS],
    "HGET": [KEYS, WORDS],
    "HMGET": [KEYS, WORDS, WORDS],
    "HGETALL": [KEYS],
    "HDEL": [KEYS, WORDS, WORDS],
    "HEXISTS": [KEYS, WORDS],
    "HLEN": [KEYS],
    "HINCRBY": [KEYS, WORDS, NUMBERS],
    "LPUSH": [KEYS, WORDS, WORDS],
    "RPUSH": [KEYS, WORDS],
    "RPUSHX": [KEYS, WORDS],
    "LPOP": [KEYS],
    "RPOP": [KEYS, NUMBERS],
    "LLEN": [KEYS],
    "LRANGE": [KEYS, NUMBERS, NUMBERS],
    "LTRIM": [KEYS, NUMBERS, NUMBERS],
    "LINDEX": [KEYS, NUMBERS],
    "LSET": [KEYS, NUMBERS, WORDS],
    "LREM": [KEYS, NUMBERS, WORDS],
    "LINSERT": [KEYS, st.just(b"BEFORE"), WORDS, WORDS],
    "LPOS": [KEYS, WORDS],
    "LMOVE": [KEYS, KEYS, st.just(b"LEFT"), st.just(b"RIGHT")],
    "RPOPLPUSH": [KEYS, KEYS],
    "SADD": [KEYS, WORDS, WORDS],
    "SREM": [KEYS, WORDS],
    "SMEMBERS": [KEYS],
    "SISMEMBER": [KEYS, WORDS],
    "SMISMEMBER": [KEYS, WORDS, WORDS],
    "SCARD": [KEYS],
    "SMOVE": [KEYS, KEYS, WORDS],
    "SINTER": [KEYS, KEYS],
    "SUNIONSTORE": [KEYS, KEYS, KEYS],
    "SDIFF": [KEYS, KEYS],
    "ZADD": [KEYS, SCORES, WORDS],
    "ZADD GT": [KEYS, st.just(b"GT"), st.just(b"CH"), SCORES, WORDS],
    "ZADD INCR": [KEYS, st.just(b"NX"), st.just(b"INCR"), SCORES, WORDS],
    "ZINCRBY": [KEYS, NUMBERS, WORDS],
    "ZREM": [KEYS, WORDS],
    "ZSCORE": [KEYS, WORDS],
    "ZMSCORE": [KEYS, WORDS, WORDS],
    "ZCARD": [KEYS],
    "ZCOUNT": [KEYS, SCORES, SCORES],
    "ZRANK": [KEYS, WORDS],
    "ZRANGE": [KEYS, NUMBERS, NUMBERS, st.just(b"WITHSCORES")],
    "ZRANGE REV": [KEYS, SCORES, SCORES, st.just(b"BYSCORE"), st.just(b"REV")],
    "ZRANGEBYSCORE": [KEYS, SCORES, SCORES],
    "ZREVRANGE": [KEYS, NUMBERS, NUMBERS],
    "ZPOPMIN": [KEYS],
    "ZREMRANGEBYRANK": [KEYS, NUMBERS, NUMBERS],
    "ZREMRANGEBYSCORE": [KEYS, SCORES, SCORES],
    "MULTI": [],
    "EXEC": [],
    "DISCARD": [],
    "WATCH": [KEYS],
    "NONSENSE": [WORDS],
    "GET too few": [],
}


def _commands() -> st.SearchStrategy[list[bytes]]:
    made = []
    for name, shape in SHAPES.items():
        first = st.just(name.split()[0].encode())
        made.append(st.tuples(first, *shape).map(list))
    return st.one_of(*made)


def _comparable(reply: Any, command: list[bytes]) -> Any:
    if isinstance(reply, RedisReplyError):
        # The kind of an error is its promise, its text is not.
        return "error", reply.code
    if isinstance(reply, list) and command[0] in (b"SMEMBERS", b"SINTER", b"SDIFF"):
        return sorted(reply)
    return reply


class OracleTests(SynchronousTestCase):
    """The server in memory answers as a real one does."""

    def setUp(self) -> None:
        self.server = ValkeyServer.started(self)

    @settings(max_examples=150, derandomize=True)
    @given(st.lists(_commands(), max_size=40), st.sampled_from([2, 3]))
    def test_same(self, commands: list[list[bytes]], protocol: int) -> None:
        """Any commands, in any order, have the same replies, in both protocols."""
        hello = [b"HELLO", b"%d" % protocol]
        commands = [hello, [b"FLUSHALL"], *commands]
        real = self.talk(commands)
        memory = self.answers(commands, protocol)
        for command, first, second in zip(
            commands[1:], real[1:], memory[1:], strict=True
        ):
            first, second = _comparable(first, command), _comparable(second, command)
            if command == [b"EXEC"]:
                # What is in it was compared when it came without.
                first, second = type(first), type(second)
            self.assertEqual(first, second, command)

    def talk(self, commands: list[list[bytes]]) -> list[Any]:
        """What the real server says."""
        reader = RespReader()
        replies: list[Any] = []
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(self.server.path)
            connection.sendall(b"".join(map(encode_command, commands)))
            while len(replies) < len(commands):
                replies += reader.feed(connection.recv(1 << 16))
        return replies

    def answers(self, commands: list[list[bytes]], protocol: int) -> list[Any]:
        """What the server in memory says."""
        server = MemoryRedis(Clock())
        session = server.open(lambda push: None, lambda: None)
        data: list[bytes] = []
        for command in commands:
            session.take(
                command, lambda reply: data.append(encode_reply(reply, protocol))
            )
        return RespReader().feed(b"".join(data))

    def test_table(self) -> None:
        """The real server says what the table of the other's tests says."""
        commands = [command.encode().split() for command, _ in TABLE]
        _, *replies = self.talk([[b"HELLO", b"3"], *commands])
        for place, reply in enumerate(replies):
            check(self, place, reply)

    def test_known(self) -> None:
        """Every command of the server in memory is one of the real server."""
        (listed,) = self.talk([[b"COMMAND", b"LIST"]])
        known = {name.decode().upper() for name in listed}
        self.assertEqual(set(COMMANDS) - known, set())


async def real_client(case: TestCase) -> RedisFixture:
    """Make the real client of a server in memory."""
    server = MemoryRedis(CLOCK)

    def cut() -> Any:
        server.refusing = True
        server.cut()
        return deferLater(CLOCK, 0.01)

    def restore() -> None:
        server.refusing = False

    client = await connect(server.url, server.reactor, wait=5.0)
    return RedisFixture(redis=client, suspend=server.suspend, cut=cut, restore=restore)


def memory_client(case: TestCase) -> RedisFixture:
    """Make a client that is answered at once."""
    server = MemoryRedis(CLOCK)
    client = server.client()
    return RedisFixture(
        redis=client, suspend=server.suspend, cut=server.cut, restore=client.connect
    )


RealClientInMemoryContractTests = redis_contract_tests(real_client)
MemoryClientContractTests = redis_contract_tests(memory_client)
