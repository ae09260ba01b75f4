"""Tests of server-sent events and their slow readers."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.control.streams import KEEP_ALIVE, MAX_QUEUED, EventStream, event_bytes
from sockhost.status import Event
from tests.control.wire import MemoryConnection, MemoryControl, read_events


class EventBytesTests(SynchronousTestCase):
    """Any text can be the data of an event."""

    @given(st.lists(st.text(st.characters(codec="utf-8"))))
    def test_round_trip(self, texts: list[str]) -> None:
        """Texts come back, with each line end as a newline."""
        plain = [text.replace("\r\n", "\n").replace("\r", "\n") for text in texts]
        self.assertEqual(read_events(b"".join(map(event_bytes, texts))), plain)


class SlowReaderTests(SynchronousTestCase):
    """What a slow reader costs is bounded."""

    def setUp(self) -> None:
        """Open a stream and fill its connection."""
        self.control = MemoryControl()
        self.reader = self.control.begin("GET", "/events")
        self.reader.transport.clear()
        self.reader.producer().pauseProducing()

    def publish(self, size: int) -> None:
        """Have something to send."""
        event = Event(at=1.0, event="state", unit="kv", fields={"x": "y" * size})
        self.control.host.publish(event)

    def test_interface(self) -> None:
        """A stream is a producer."""
        stream: Any = EventStream(None, Clock())  # type: ignore[arg-type]
        self.assertTrue(verifyObject(IPushProducer, stream))

    def test_waits(self) -> None:
        """While the connection is full nothing is written, then all of it is."""
        self.publish(3)
        self.assertEqual(self.reader.received(), b"")
        self.reader.producer().resumeProducing()
        self.assertEqual(self.reader.received().count(b"yyy"), 1)

    def test_cut_off(self) -> None:
        """A reader that lets too much wait is cut off, with a word in the log."""
        logged: list[Any] = []
        observer = cast(ILogObserver, logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.publish(MAX_QUEUED // 2)
        self.assertTrue(self.reader.transport.connected)
        self.publish(MAX_QUEUED // 2)
        self.assertFalse(self.reader.transport.connected)
        self.assertEqual(self.control.host.notifiers, [])
        self.assertEqual(self.control.clock.getDelayedCalls(), [])
        self.assertIn("too slow", logged[0]["log_format"])

    def test_keep_alives_count(self) -> None:
        """A reader that never reads does not hold its connection for ever."""
        self.publish(MAX_QUEUED - 200)
        for _ in range(20):
            self.control.clock.advance(KEEP_ALIVE)
        self.assertEqual(self.control.host.notifiers, [])

    def test_orderly_end(self) -> None:
        """What waits when the stream is ended is sent before the end."""
        self.publish(3)
        self.control.api.end_streams()
        self.assertIn(b"yyy", self.reader.received())
        self.assertTrue(self.reader.received().endswith(b"0\r\n\r\n"))


class KeepAliveTests(SynchronousTestCase):
    """A stream shows that it is alive."""

    def test_comment(self) -> None:
        """A comment is sent every 15 seconds, as long as there is a reader."""
        control = MemoryControl()
        reader: MemoryConnection = control.begin("GET", "/events")
        control.clock.advance(KEEP_ALIVE - 1)
        self.assertNotIn(b": keep-alive", reader.received())
        control.clock.advance(1)
        self.assertIn(b": keep-alive\n\n", reader.received())
        reader.lose()
        self.assertEqual(control.clock.getDelayedCalls(), [])
