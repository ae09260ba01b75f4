"""Tests of the connections of the control API."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sockhost.control.server import PARTING, ControlServer
from tests.control.fakes import FakeHost
from tests.control.wire import MemoryControl, parse


class ConnectionsTests(SynchronousTestCase):
    """Connections end when the host stops."""

    def setUp(self) -> None:
        """Make an API."""
        self.control = MemoryControl()

    def test_none(self) -> None:
        """Without connections the end is there at once."""
        self.successResultOf(self.control.connections.end(self.control.clock))
        self.assertEqual(self.control.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """Connections that ask nothing are closed."""
        reader = self.control.connect()
        self.successResultOf(self.control.connections.end(self.control.clock))
        self.assertFalse(reader.transport.connected)
        self.assertEqual(self.control.clock.getDelayedCalls(), [])

    def test_waiting(self) -> None:
        """A request that waits is given up, and its work is not cancelled."""
        self.control.begin("POST", "/units/kv/start")
        self.successResultOf(self.control.connections.end(self.control.clock))
        self.assertFalse(self.control.host.calls[0].done.called)
        self.assertEqual(self.control.clock.getDelayedCalls(), [])

    def test_stuck(self) -> None:
        """A connection that does not take its last bytes is cut in the end."""
        reader = self.control.connect()
        lose = reader.transport.loseConnection
        reader.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        ended = self.control.connections.end(self.control.clock)
        self.control.clock.advance(PARTING - 0.1)
        self.assertNoResult(ended)
        reader.transport.loseConnection = lose  # type: ignore[method-assign]
        self.control.clock.advance(0.2)
        self.successResultOf(ended)
        self.assertEqual(self.control.clock.getDelayedCalls(), [])

    def test_no_clock_runs(self) -> None:
        """A site that nobody uses has nothing to do, not even to tell the time."""
        self.control.connections.doStart()
        self.addCleanup(self.control.connections.doStop)
        self.assertEqual(self.control.clock.getDelayedCalls(), [])


class GuardTests(SynchronousTestCase):
    """Nothing is answered but JSON."""

    def test_path_not_text(self) -> None:
        """A path that is not UTF-8 is refused."""
        answer = MemoryControl().ask("GET", "/units/%ff")
        self.assertEqual((answer.status, answer.json()["kind"]), (400, "bad-request"))

    def test_host_header(self) -> None:
        """The name by which the host is called does not matter."""
        reader = MemoryControl().connect()
        reader.protocol.dataReceived(
            b"GET /units HTTP/1.1\r\nHost: " + b"\xff." * 50 + b"\r\n\r\n"
        )
        self.assertEqual(parse(reader.received()).status, 200)

    def test_broken_identity(self) -> None:
        """A connection that the kernel cannot name is not let through."""
        control = MemoryControl()

        def fail(_: object) -> None:
            raise OSError("no credentials")

        control.api._access.identify = fail  # type: ignore[assignment]
        self.assertEqual(control.ask("GET", "/units").status, 500)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class ControlServerTests(SynchronousTestCase):
    """The server as a whole; see the functional tests for the socket."""

    def test_stop_without_start(self) -> None:
        """Stopping a server that was not started does nothing."""
        server = ControlServer(FakeHost(), None, "/nowhere")  # type: ignore[arg-type]
        self.successResultOf(server.stop())
