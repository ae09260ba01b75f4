"""
Tests for L{sockhost.redis.telling}: calling those who listen.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.telling import tell

LOG = Logger()


class TellTests(SynchronousTestCase):
    """L{tell}."""

    def test_plain(self) -> None:
        """What a plain listener returns is no matter."""
        heard: list[int] = []
        tell(LOG, heard.append, 1)
        tell(LOG, lambda: "value")
        self.assertEqual(heard, [1])

    def test_raises(self) -> None:
        """What is raised is logged."""
        tell(LOG, lambda: 1 / 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_deferred(self) -> None:
        """A failure that comes later is logged when it comes."""
        later: Deferred[None] = Deferred()
        tell(LOG, lambda: later)
        self.assertEqual(self.flushLoggedErrors(), [])
        later.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_coroutine(self) -> None:
        """A coroutine is run, and its failure logged."""
        later: Deferred[int] = Deferred()
        heard: list[int] = []

        async def listener() -> None:
            heard.append(await later)
            raise ZeroDivisionError

        tell(LOG, listener)
        later.callback(5)
        self.assertEqual(heard, [5])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
