"""
What a client has for those who work with the data.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.streams import GroupReader
from sockhost.redis.working import WorkingClient
from sockhost.testing.redis import MemoryRedis


class Options(WorkingClient):
    """Keeps the options that its commands are given."""

    def __init__(self) -> None:
        self._clock = Clock()
        self.options: list[dict[str, Any]] = []

    def execute(self, *args: Any, **options: Any) -> Deferred[Any]:
        """Keep them."""
        self.options.append(options)
        return succeed(b"PONG")


class WorkingTests(SynchronousTestCase):
    """Clients that have all of it."""

    def test_having(self) -> None:
        """Options can be given for several commands at once."""
        client = Options()
        self.assertTrue(self.successResultOf(client.having(retry=3).ping()))
        client.ping()
        self.assertEqual(client.options, [{"retry": 3}, {}])

    def test_pieces(self) -> None:
        """Each of them begins empty and works on its own."""
        client = MemoryRedis(Clock()).client()
        first, second = client.pipeline().incr("n"), client.pipeline()
        transaction = client.transaction().incr("n").incr("n")
        self.assertEqual((len(first), len(second), len(transaction)), (1, 0, 2))
        self.assertEqual(self.successResultOf(transaction.run()), [1, 2])
        self.assertEqual(self.successResultOf(first.run()), [3])

    def test_group_reader(self) -> None:
        """A reader reads one stream, or several."""
        client = Options()
        one = client.group_reader("s", "g", "me", count=3)
        two = client.group_reader([b"s", "t"], "g", "me")
        self.assertIsInstance(one, GroupReader)
        self.assertEqual([each.key for each in one._streams], [b"s"])
        self.assertEqual([each.key for each in two._streams], [b"s", b"t"])
        self.assertEqual(one.count, 3)
