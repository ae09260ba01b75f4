"""
Tests for L{sockhost.sockets.outbox}.
"""

from __future__ import annotations

from twisted.internet.interfaces import IPullProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected
from sockhost.sockets.outbox import BATCH, Outbox
from tests.sockets.fakes import Wire


class OutboxTests(SynchronousTestCase):
    """Tests for L{Outbox}."""

    def setUp(self) -> None:
        """Make one that is empty."""
        self.wire = Wire()
        self.drained = 0
        self.outbox = Outbox(self.wire)  # type: ignore[arg-type]
        self.outbox.start(self._note)

    def _note(self) -> None:
        self.drained += 1

    def test_interface(self) -> None:
        """It is a pull producer, so that it is told when all is sent."""
        verifyObject(IPullProducer, self.outbox)
        self.assertFalse(self.wire.streaming)

    def test_written_at_once(self) -> None:
        """Bytes go to the transport at once and count until they are taken."""
        self.outbox.put(b"abc")
        self.assertEqual(self.wire.writes, [b"abc"])
        self.assertEqual(self.outbox.queued, 3)
        self.wire.take()
        self.assertEqual(self.outbox.queued, 0)
        self.assertEqual(self.drained, 1)

    def test_hold(self) -> None:
        """What is put in while held is written with one write."""
        self.outbox.hold()
        self.outbox.put(b"a")
        self.outbox.put(b"b")
        self.assertEqual(self.wire.writes, [])
        self.assertEqual(self.outbox.queued, 2)
        self.outbox.release()
        self.assertEqual(self.wire.writes, [b"ab"])

    def test_release_nothing(self) -> None:
        """Releasing with nothing collected writes nothing."""
        self.outbox.hold()
        self.outbox.release()
        self.assertEqual(self.wire.writes, [])

    def test_busy_transport(self) -> None:
        """A transport that has a batch gets more when it has sent that."""
        self.outbox.put(b"x" * BATCH)
        self.outbox.put(b"y")
        self.outbox.put(b"z")
        self.assertEqual(len(self.wire.writes), 1)
        self.wire.take()
        self.assertEqual(self.wire.writes[1:], [b"yz"])
        self.assertEqual(self.outbox.queued, 2)

    def test_when_sent(self) -> None:
        """A waiter hears of its own batch, not of those behind it."""
        self.outbox.put(b"x" * BATCH)
        first = self.outbox.when_sent()
        self.outbox.put(b"y")
        second = self.outbox.when_sent()
        self.assertNoResult(first)
        self.wire.take()
        self.assertIsNone(self.successResultOf(first))
        self.assertNoResult(second)
        self.wire.take()
        self.assertIsNone(self.successResultOf(second))

    def test_when_sent_with_nothing_queued(self) -> None:
        """With nothing queued there is nothing to wait for."""
        self.assertIsNone(self.successResultOf(self.outbox.when_sent()))

    def test_close_after_the_rest(self) -> None:
        """Closing waits until everything queued is sent."""
        self.outbox.put(b"x" * BATCH)
        self.outbox.put(b"y")
        self.outbox.close()
        self.outbox.put(b"too late")
        self.wire.take()
        self.assertFalse(self.wire.disconnecting)
        self.wire.take()
        self.assertTrue(self.wire.disconnecting)
        self.assertIsNone(self.wire.producer)
        self.assertEqual(self.wire.writes[1:], [b"y"])

    def test_close_when_empty(self) -> None:
        """With nothing queued, closing is done at once."""
        self.outbox.close()
        self.assertTrue(self.wire.disconnecting)

    def test_lose(self) -> None:
        """When the connection is lost, all who wait are told why."""
        self.outbox.put(b"x")
        sent = self.outbox.when_sent()
        self.outbox.lose(Disconnected("gone"))
        self.assertEqual(
            self.failureResultOf(sent, Disconnected).getErrorMessage(), "gone"
        )
        self.assertEqual(self.outbox.queued, 0)
        self.outbox.put(b"y")
        self.assertEqual(self.wire.writes, [b"x"])
