"""
Tests for L{sockhost.redis.push}: who is told of what no command has asked for.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.push import PushRouter, pushes_in_arrays
from sockhost.redis.resp import Push
from tests.redis.fakes import Wire


class RouterTests(SynchronousTestCase):
    """L{PushRouter}."""

    def setUp(self) -> None:
        self.router = PushRouter()
        self.taken: list[Any] = []

    def test_exact_kind(self) -> None:
        """A handler gets its kind, and none that only begins or ends like it."""
        self.router.handle(b"message", self.taken.append)
        for kind in (b"message", b"messages", b"mess", b"MESSAGE", b""):
            self.router.take(Push([kind, b"a", b"b"]))
        self.assertEqual(self.taken, [[b"message", b"a", b"b"]])

    def test_unknown_kind(self) -> None:
        """What nobody handles goes to C{on_push}, of whatever shape it is."""
        self.router.on_push = self.taken.append
        self.router.handle(b"known", lambda push: None)
        odd: list[list[Any]] = [[b"new", 1], [b"alone"], [], [[b"known"]], [None], [1]]
        for push in odd:
            self.router.take(Push(push))
        self.router.take(Push([b"known"]))
        self.assertEqual(self.taken, odd)

    def test_nobody(self) -> None:
        """Without C{on_push} an unknown kind is dropped, and later ones are not."""
        self.router.take(Push([b"new", 1]))
        self.router.on_push = self.taken.append
        self.router.take(Push([b"new", 2]))
        self.assertEqual(self.taken, [[b"new", 2]])

    def test_one_handler(self) -> None:
        """A kind has one handler until that is released."""
        self.router.handle(b"a", self.taken.append)
        with self.assertRaises(RedisError):
            self.router.handle(b"a", print)
        self.router.release(b"a")
        self.router.take(Push([b"a"]))
        self.router.handle(b"a", self.taken.append)
        self.router.take(Push([b"a", 2]))
        self.assertEqual(self.taken, [[b"a", 2]])


class ArraysTests(SynchronousTestCase):
    """L{pushes_in_arrays}."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pushes: list[Any] = []
        self.connection = RedisConnection(self.clock, on_push=self.pushes.append)
        self.wire = Wire(self.clock, self.connection)
        pushes_in_arrays(self.connection)

    def test_messages(self) -> None:
        """Arrays that are messages take no reply's place; PING's answer does."""
        pong = self.connection.execute("PING")
        self.wire.send(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n")
        self.wire.send(b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\nb\r\n")
        self.wire.send(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n")
        self.assertEqual(self.successResultOf(pong), [b"pong", b""])
        kinds = [(type(push), push[0]) for push in self.pushes]
        self.assertEqual(kinds, [(Push, b"message"), (Push, b"pmessage")])

    def test_other_arrays(self) -> None:
        """Arrays of another length or kind, and plain replies, are replies."""
        expected: list[Any] = [[], [b"message"], [1, 2, 3], b"message", None]
        replies = [self.connection.execute("PING") for _ in expected]
        self.clock.advance(0)
        self.wire.send(b"*0\r\n*1\r\n$7\r\nmessage\r\n*3\r\n:1\r\n:2\r\n:3\r\n")
        self.wire.send(b"+message\r\n$-1\r\n")
        self.assertEqual([self.successResultOf(each) for each in replies], expected)
        self.assertEqual(self.pushes, [])
