"""
The commands of the Redis server in memory, each by itself.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.resp import RespReader
from sockhost.testing.redis import MemoryRedis
from sockhost.testing.redis.replies import encode_reply
from sockhost.testing.redis.table import COMMANDS
from tests.testing.redis_table import TABLE, check


class TableTests(SynchronousTestCase):
    """Each command on its own."""

    def test_table(self) -> None:
        """Each has the reply that the table says, as a real server has."""
        clock = Clock()
        server = MemoryRedis(clock)
        session = server.open(lambda push: None, lambda: None)
        session.protocol = 3
        said: list[Any] = []
        for place, (command, _) in enumerate(TABLE):
            session.take(command.encode().split(), said.append)
            # For one that blocks.
            clock.advance(0 if said else 0.01)
            (reply,) = RespReader().feed(encode_reply(said.pop()))
            check(self, place, reply)

    def test_complete(self) -> None:
        """The table has every command, but for those that other tests have."""
        elsewhere = {"TIME", "INFO", "HELLO", "AUTH", "QUIT", "EVAL", "EVAL_RO"}
        elsewhere |= {"EVALSHA_RO", "PEXPIRE", "EXPIREAT", "SINTER"}
        elsewhere |= {name for name in COMMANDS if name.endswith("SUBSCRIBE")}
        named = {command.split()[0] for command, _ in TABLE}
        self.assertEqual(set(COMMANDS) - named - elsewhere, set())

    def test_talk(self) -> None:
        """What has no fixed reply has one of the right kind."""
        server = MemoryRedis(Clock(), password="secret")
        ended: list[bool] = []
        session = server.open(lambda push: None, lambda: ended.append(True))
        said: list[Any] = []

        def say(*words: bytes) -> Any:
            session.take(list(words), said.append)
            return said[-1]

        self.assertEqual(say(b"GET", b"a").code, "NOAUTH")
        self.assertEqual(say(b"HELLO", b"3").code, "NOAUTH")
        self.assertEqual(say(b"AUTH", b"wrong").code, "WRONGPASS")
        self.assertEqual(say(b"AUTH", b"secret"), b"OK")
        self.assertEqual(say(b"HELLO")[b"proto"], 2)
        hello = say(b"HELLO", b"3", b"AUTH", b"default", b"secret", b"SETNAME", b"me")
        self.assertEqual(hello[b"proto"], 3)
        self.assertEqual(say(b"CLIENT", b"GETNAME"), b"me")
        self.assertEqual(say(b"CLIENT", b"ID"), 1)
        self.assertEqual(say(b"TIME"), [b"0", b"0"])
        self.assertIn(b"redis_version:", say(b"INFO"))
        self.assertEqual(say(b"QUIT"), b"OK")
        server.pump()
        self.assertEqual(ended, [True])

    def test_channels(self) -> None:
        """Channels, patterns and shards, in RESP2, where they bar the rest."""
        server = MemoryRedis(Clock())
        pushes: list[Any] = []
        session = server.open(pushes.append, lambda: None)
        other = server.open(lambda push: None, lambda: None)
        said: list[Any] = []

        def say(line: str, who: Any = session) -> None:
            who.take(line.encode().split(), said.append)

        for line in ("SUBSCRIBE a b", "PSUBSCRIBE ?", "SSUBSCRIBE a"):
            say(line)
        self.assertEqual([push[2] for push in pushes], [1, 2, 3, 1])
        pushes.clear()
        for line in ("PUBLISH a x", "SPUBLISH a y", "PUBSUB CHANNELS", "PUBSUB NUMPAT"):
            say(line, other)
        self.assertEqual(said, [2, 1, [b"a", b"b"], 1])
        self.assertEqual(
            pushes,
            [
                [b"message", b"a", b"x"],
                [b"pmessage", b"?", b"a", b"x"],
                [b"smessage", b"a", b"y"],
            ],
        )
        said.clear()
        say("GET a")
        say("PING")
        self.assertEqual((said[0].code, said[1]), ("ERR", [b"pong", b""]))
        pushes.clear()
        for line in ("UNSUBSCRIBE a", "UNSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE"):
            say(line)
        self.assertEqual(
            [push[1:] for push in pushes],
            [[b"a", 2], [b"b", 1], [None, 1], [b"?", 0]],
        )
