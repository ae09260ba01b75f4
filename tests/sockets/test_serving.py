"""
Tests for L{sockhost.sockets.serving}.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.bound import BoundSocket
from sockhost.sockets.serving import HURRIED, SocketServing
from tests.sockets.fakes import Connection, FakeSocket, Hooked, Later, Wire


def fail() -> object:
    """Fail as a hook."""
    raise ValueError("bug")


class SocketServingTests(SynchronousTestCase):
    """Tests for L{SocketServing}."""

    def setUp(self) -> None:
        """Make one that is not started."""
        self.reactor = cast(Any, MemoryReactorClock())
        self.handler = Hooked()
        self.serving = SocketServing(self.reactor, self.handler, name="kv")
        self.socket = cast(Any, FakeSocket())
        self.bound = BoundSocket(self.socket, "/run/kv.sock")

    def start(self) -> None:
        """Bring it up."""
        self.successResultOf(self.serving.prepare())
        self.serving.listen(self.bound)

    def connect(self) -> Connection:
        """Connect a client."""
        protocol = self.serving.server.buildProtocol(cast(Any, None))
        assert protocol is not None
        wire = Wire()
        protocol.makeConnection(wire)
        return Connection(protocol, wire)

    def test_whole_life(self) -> None:
        """C{startup} is called first and C{shutdown} last, once."""
        self.start()
        self.assertEqual(self.reactor.getReaders()[0].bound, self.bound)
        self.successResultOf(self.serving.close())
        self.assertTrue(self.socket.closed)
        self.successResultOf(self.serving.close())
        self.assertEqual(self.handler.called, ["startup", "shutdown"])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_startup_fails(self) -> None:
        """Without a good C{startup} there is no C{shutdown}."""
        self.handler.on["startup"] = fail
        self.failureResultOf(self.serving.prepare(), ValueError)
        self.successResultOf(self.serving.close())
        self.assertEqual(self.handler.called, ["startup"])

    def test_startup_cancelled(self) -> None:
        """A C{startup} can be cancelled."""
        later = Later()
        self.handler.on["startup"] = later
        starting = self.serving.prepare()
        starting.cancel()
        self.failureResultOf(starting, CancelledError)
        self.assertEqual(later.cancelled, later.made)

    def test_shutdown_fails(self) -> None:
        """A failure of C{shutdown} is logged."""
        self.handler.on["shutdown"] = fail
        self.start()
        self.assertIsNone(self.successResultOf(self.serving.close()))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_shutdown_after_clients(self) -> None:
        """C{shutdown} comes when every client is gone."""
        self.start()
        connection = self.connect()
        closing = self.serving.close(10)
        self.assertTrue(self.socket.closed)
        self.assertEqual(self.handler.called, ["startup"])
        connection.lose()
        self.successResultOf(closing)
        self.assertEqual(self.handler.called, ["startup", "shutdown"])
        self.assertEqual(len(self.handler.gone), 1)

    def test_abort(self) -> None:
        """Waiting for answers, and for C{shutdown}, can be cut short."""
        answer, shutdown = Later(), Later()
        self.handler.answer = answer
        self.handler.on["shutdown"] = shutdown
        self.start()
        connection = self.connect()
        connection.send(b"x")
        closing = self.serving.close(1000)
        self.serving.abort()
        self.assertEqual(len(answer.cancelled), 1)
        connection.lose()
        self.assertNoResult(closing)
        self.serving.abort()
        self.assertEqual(len(shutdown.cancelled), 1)
        self.successResultOf(closing)
        self.flushLoggedErrors(CancelledError)

    def test_abort_drain(self) -> None:
        """What cuts short the waiting for answers leaves little for C{shutdown}."""
        shutdown = Later()
        self.handler.answer = Later()
        self.handler.on["shutdown"] = shutdown
        self.start()
        connection = self.connect()
        connection.send(b"x")
        closing = self.serving.close(1000)
        self.serving.abort()
        connection.lose()
        self.assertNoResult(closing)
        self.reactor.advance(HURRIED)
        self.assertEqual(len(shutdown.cancelled), 1)
        self.successResultOf(closing)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """The end of the listener is told."""
        lost: list[Failure] = []
        self.serving.listen(self.bound, lost.append)
        self.reactor.getReaders()[0].connectionLost(Failure(OSError(9, "bad")))
        self.assertEqual(len(lost), 1)

    def test_hook(self) -> None:
        """A hook is called when it is asked for."""
        self.start()
        self.assertIsNone(self.successResultOf(self.serving.run_hook("reconfigure")))
        self.assertEqual(self.handler.called, ["startup", "reconfigure"])

    def test_hook_not_started(self) -> None:
        """A handler that is not started is not asked."""
        self.successResultOf(self.serving.run_hook("reconfigure"))
        self.assertEqual(self.handler.called, [])

    def test_hook_fails(self) -> None:
        """A hook's failure is the caller's."""
        self.handler.on["reconfigure"] = fail
        self.start()
        self.failureResultOf(self.serving.run_hook("reconfigure"), ValueError)

    def test_hooks_become_one(self) -> None:
        """What is asked for during a call becomes one call after it."""
        later = Later()
        self.handler.on["reconfigure"] = later
        self.start()
        first, second, third = (self.serving.run_hook("reconfigure") for _ in range(3))
        self.assertEqual(len(later.made), 1)
        later[0].callback(None)
        self.successResultOf(first)
        self.assertNoResult(second)
        self.assertEqual(len(later.made), 2)
        later[1].callback(None)
        self.successResultOf(second)
        self.successResultOf(third)

    def test_hook_is_queued(self) -> None:
        """One that has not begun when the handler ends never does."""
        later = Later()
        self.handler.on["reconfigure"] = later
        self.start()
        hooked = [self.serving.run_hook("reconfigure") for _ in range(2)]
        self.successResultOf(self.serving.close())
        for each in hooked:
            self.failureResultOf(each, CancelledError)
        self.assertEqual(self.handler.called, ["startup", "reconfigure", "shutdown"])

    def test_hook_while_closing(self) -> None:
        """None is begun while the handler ends."""
        self.start()
        connection = self.connect()
        closing = self.serving.close(10)
        self.successResultOf(self.serving.run_hook("reconfigure"))
        connection.lose()
        self.successResultOf(closing)
        self.assertEqual(self.handler.called, ["startup", "shutdown"])

    def test_hook_tidies_up(self) -> None:
        """C{shutdown} comes when a hook that is cancelled has ended."""
        tidy: Deferred[None] = Deferred()

        async def reconfigure() -> None:
            try:
                await Deferred()
            except CancelledError:
                await tidy

        self.handler.on["reconfigure"] = reconfigure
        self.start()
        hooked = self.serving.run_hook("reconfigure")
        closing = self.serving.close()
        self.assertEqual(self.handler.called, ["startup", "reconfigure"])
        self.assertNoResult(closing)
        tidy.callback(None)
        self.successResultOf(hooked)
        self.successResultOf(closing)
        self.assertEqual(self.handler.called[-1], "shutdown")

    def test_hook_is_cancelled(self) -> None:
        """A hook under way is cancelled when the handler ends."""
        later = Later()
        self.handler.on["reconfigure"] = later
        self.start()
        hooked = self.serving.run_hook("reconfigure")
        self.successResultOf(self.serving.close())
        self.failureResultOf(hooked, CancelledError)
        self.assertEqual(self.handler.called[-1], "shutdown")
