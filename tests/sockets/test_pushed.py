"""
Tests for L{sockhost.sockets.pushed}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from sockhost.sockets.outbox import Outbox
from sockhost.sockets.pushed import PushedStream, as_stream
from tests.sockets.fakes import Wire


class PushedStreamTests(SynchronousTestCase):
    """Tests for L{PushedStream}."""

    def setUp(self) -> None:
        """Put an outbox on a transport that pushes."""
        self.clock = Clock()
        self.wire = Wire()
        self.stream = PushedStream(self.wire, self.clock)
        self.outbox = Outbox(self.stream)  # type: ignore[arg-type]
        self.outbox.start(lambda: None)
        producer: Any = self.wire.producer
        self.gauge = producer

    def test_which(self) -> None:
        """Only what is made by TLS needs it."""
        self.assertIs(as_stream(self.wire, self.clock), self.wire)
        directlyProvides(self.wire, ISSLTransport)
        self.assertIsInstance(as_stream(self.wire, self.clock), PushedStream)

    def test_sent(self) -> None:
        """What is written counts as sent in the next turn, and nothing spins."""
        self.assertTrue(self.wire.streaming)
        self.outbox.put(b"one")
        sent = self.outbox.when_sent()
        self.assertNoResult(sent)
        self.clock.advance(0)
        self.successResultOf(sent)
        self.assertEqual(self.outbox.queued, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_much(self) -> None:
        """While TLS has too much nothing more is given to it."""
        self.outbox.put(b"x" * 100_000)
        self.gauge.pauseProducing()
        self.outbox.put(b"more")
        self.clock.advance(1)
        self.assertEqual(self.outbox.queued, 100_004)
        self.assertEqual(len(self.wire.writes), 1)
        self.gauge.resumeProducing()
        self.clock.pump([0, 0])
        self.assertEqual(self.outbox.queued, 0)
        self.assertEqual(self.wire.writes[1:], [b"more"])

    def test_lost(self) -> None:
        """When the connection is lost nobody is asked any more."""
        self.outbox.put(b"x")
        self.gauge.stopProducing()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.gauge.resumeProducing()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """Closing waits until everything is given to TLS."""
        self.outbox.put(b"x")
        self.outbox.close()
        self.assertFalse(self.wire.disconnecting)
        self.clock.advance(0)
        self.assertTrue(self.wire.disconnecting)
        self.assertIsNone(self.wire.producer)

    def test_closed_by_both(self) -> None:
        """That the other side closes it, too, is read though nothing else is."""
        self.stream.agreed()
        self.outbox.pause()
        self.outbox.close()
        self.assertEqual((self.wire.disconnecting, self.wire.reading), (True, True))

    def test_not_agreed(self) -> None:
        """Reading is not paused before TLS is there, which it needs for that."""
        self.outbox.pause()
        self.assertTrue(self.wire.reading)
        self.stream.agreed()
        self.assertFalse(self.wire.reading)

    def test_resumed_before(self) -> None:
        """Nor then, if it is wanted again."""
        self.outbox.pause()
        self.outbox.resume()
        self.stream.agreed()
        self.assertTrue(self.wire.reading)

    def test_passed_on(self) -> None:
        """Reading and aborting are the transport's."""
        self.stream.agreed()
        self.stream.pauseProducing()
        self.assertFalse(self.wire.reading)
        self.stream.resumeProducing()
        self.assertTrue(self.wire.reading)
        self.stream.abortConnection()
        self.assertTrue(self.wire.aborted)
