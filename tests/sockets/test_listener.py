"""
Tests for L{sockhost.sockets.listener}.
"""

from __future__ import annotations

import errno
import os
from contextlib import AbstractContextManager
from typing import Any, cast
from unittest import mock

from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.sockets.bound import BoundSocket
from sockhost.sockets.descriptors import Kept, copy_number
from sockhost.sockets.listener import ACCEPT_BURST, PAUSE, UnixListener
from tests.sockets.fakes import FakeConnected, FakeSocket


class AdoptingReactor(MemoryReactorClock):
    """
    A reactor that notes which connections it adopted, or fails to.

    @ivar failures: errors for the next adoptions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[int] = []
        self.failures: list[Exception] = []

    def adoptStreamConnection(
        self,
        fileDescriptor: int,  # noqa: N803
        addressFamily: int,  # noqa: N803
        factory: object,
    ) -> None:
        """Note it."""
        if self.failures:
            raise self.failures.pop(0)
        self.adopted.append(fileDescriptor)


class CountingFactory(Factory):
    """
    @ivar running: how often it was started and not stopped.
    """

    running = 0
    noisy = False

    def startFactory(self) -> None:
        """Count."""
        self.running += 1

    def stopFactory(self) -> None:
        """Count."""
        self.running -= 1


class ListenerCase(SynchronousTestCase):
    """A test with a listener."""

    def setUp(self) -> None:
        """Make one that is started."""
        self.reactor = cast(Any, AdoptingReactor())
        self.socket = cast(Any, FakeSocket())
        self.factory = CountingFactory()
        self.lost: list[Failure] = []
        bound = BoundSocket(self.socket, "/run/x.sock")
        self.listener = UnixListener(
            self.reactor, bound, self.factory, self.lost.append
        )
        self.listener.start()

        self.logged = self.enterContext(capturedLogs())

    def clients(self, number: int) -> list[FakeConnected]:
        """Let clients wait to be accepted."""
        made = [FakeConnected(70 + n) for n in range(number)]
        self.socket.waiting.extend(made)
        return made


class UnixListenerTests(ListenerCase):
    """Tests for L{UnixListener}."""

    def test_interface(self) -> None:
        """It is what a reactor reads from."""
        verifyObject(IReadDescriptor, self.listener)
        self.assertGreaterEqual(self.listener.fileno(), 0)
        self.assertEqual(self.listener.logPrefix(), "UnixListener(/run/x.sock)")

    def test_accept(self) -> None:
        """All who wait are handed to the reactor, and our copies closed."""
        made = self.clients(3)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [70, 71, 72])
        self.assertTrue(all(each.closed for each in made))

    def test_burst(self) -> None:
        """Other work gets its turn when very many wait."""
        self.clients(ACCEPT_BURST + 1)
        self.listener.doRead()
        self.assertEqual(len(self.reactor.adopted), ACCEPT_BURST)

    def test_gone_already(self) -> None:
        """A client that has gone again keeps nobody else waiting."""
        self.socket.waiting.append(errno.ECONNABORTED)
        self.clients(1)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [70])
        self.assertEqual(self.logged, [])

    def test_interrupted(self) -> None:
        """A signal, and a client that is not let through, end no accepting."""
        self.socket.waiting += [errno.EINTR, errno.EPERM, errno.EPROTO]
        self.clients(1)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [70])
        self.assertEqual((self.logged, self.lost), ([], []))

    def test_nobody(self) -> None:
        """Another process may have taken the client: that is nothing special."""
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [])
        self.assertEqual(self.lost, [])

    def test_exhausted(self) -> None:
        """Without descriptors, accepting pauses and goes on by itself."""
        self.socket.waiting.append(errno.EMFILE)
        self.clients(1)
        self.listener.doRead()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.adopted, [])
        self.reactor.advance(PAUSE)
        self.assertEqual(self.reactor.getReaders(), [self.listener])
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [70])

    def test_logged_once(self) -> None:
        """That is logged once until a client was accepted again."""
        for _ in range(5):
            self.socket.waiting.append(errno.EMFILE)
            self.listener.doRead()
            self.reactor.advance(PAUSE)
        self.assertEqual(len(self.logged), 1)
        self.clients(1)
        self.socket.waiting.append(errno.ENFILE)
        self.listener.doRead()
        self.assertEqual(len(self.logged), 2)

    def test_exhausted_while_adopting(self) -> None:
        """The same holds when the reactor cannot take the connection."""
        self.reactor.failures.append(OSError(errno.EMFILE, "too many"))
        made = self.clients(2)
        self.listener.doRead()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertTrue(made[0].closed)
        self.reactor.advance(PAUSE)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [71])

    def test_exhausted_while_going_on(self) -> None:
        """It pauses again as long as there is nothing to be watched by."""
        self.socket.waiting.append(errno.EMFILE)
        self.clients(1)
        self.listener.doRead()
        for number in (errno.EMFILE, errno.ENOSPC):
            with self.unwatchable(number):
                self.reactor.advance(PAUSE)
            self.assertEqual(self.reactor.getReaders(), [])
        self.reactor.advance(PAUSE)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [70])
        self.assertEqual((len(self.logged), self.lost), (1, []))

    def test_broken_while_going_on(self) -> None:
        """What cannot be watched for another reason is given up."""
        self.socket.waiting.append(errno.EMFILE)
        self.listener.doRead()
        with self.unwatchable(errno.EBADF):
            self.reactor.advance(PAUSE)
        self.assertEqual(len(self.lost), 1)
        self.assertTrue(self.socket.closed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def unwatchable(self, number: int) -> AbstractContextManager[object]:
        """Have the reactor watch nothing for now."""
        error = OSError(number, os.strerror(number))
        return mock.patch.object(self.reactor, "addReader", side_effect=error)

    def test_factory_fails(self) -> None:
        """A factory that fails costs its client, and nobody else."""
        self.reactor.failures.append(ValueError("bug"))
        made = self.clients(2)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [71])
        self.assertTrue(made[0].closed)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_broken(self) -> None:
        """A socket that cannot be accepted on is given up, and that is told."""
        self.socket.waiting.append(errno.EINVAL)
        self.listener.doRead()
        self.assertTrue(self.socket.closed)
        self.assertEqual(self.reactor.getReaders(), [])
        (reason,) = self.lost
        reason.trap(OSError)

    def test_unlink_when_lost(self) -> None:
        """
        Who is told can remove the file: the socket is closed only then, so
        that no other file can have its inode yet.
        """
        open_yet: list[bool] = []
        self.listener._on_lost = lambda _: open_yet.append(not self.socket.closed)
        self.socket.waiting.append(errno.EINVAL)
        self.listener.doRead()
        self.assertEqual(open_yet, [True])
        self.assertTrue(self.socket.closed)

    def test_given_up_by_reactor(self) -> None:
        """So is one that the reactor gives up, once."""
        self.listener.connectionLost(Failure(OSError(errno.EBADF, "bad")))
        self.listener.connectionLost(Failure(OSError(errno.EBADF, "bad")))
        self.assertEqual(len(self.lost), 1)

    def test_stop(self) -> None:
        """Stopping leaves nothing and is told to the factory, not to us."""
        self.assertEqual(self.factory.running, 1)
        self.listener.stop()
        self.listener.stop()
        self.assertEqual(self.factory.running, 0)
        self.assertTrue(self.socket.closed)
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.lost, [])

    def test_stop_while_paused(self) -> None:
        """Stopping during a pause leaves no timer."""
        self.socket.waiting.append(errno.EMFILE)
        self.listener.doRead()
        self.listener.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stopped_by_client(self) -> None:
        """A factory may stop the listener while it is given a client."""
        self.clients(2)
        adopt = self.reactor.adoptStreamConnection

        def stop(fd: int, family: int, factory: object) -> None:
            adopt(fd, family, factory)
            self.listener.stop()

        self.patch(self.reactor, "adoptStreamConnection", stop)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [70])


class KeptTests(ListenerCase):
    """A listener that keeps descriptors back."""

    def setUp(self) -> None:
        """Let as many clients in as the test says."""
        super().setUp()
        self.listener.stop()
        self.kept = Kept("kv", self.reactor)
        self.numbers: list[int] = []
        self.socket = cast(Any, FakeSocket())
        self.listener = UnixListener(
            self.reactor,
            BoundSocket(self.socket, "/run/x.sock"),
            self.factory,
            admit=lambda _: self.kept.take(self.numbers.pop(0)),
            kept=self.kept,
        )
        self.addCleanup(self.listener.stop)
        self.listener.start()

    def read(self, *numbers: int) -> list[FakeConnected]:
        """Let clients come whose descriptors would have these numbers."""
        made = self.clients(len(numbers))
        self.numbers[:] = numbers
        self.listener.doRead()
        return made

    def test_last(self) -> None:
        """The last that may have one gets in; the next waits and is not closed."""
        last = self.kept.first - 1
        made = self.read(last - 1, last, last + 1)
        self.assertEqual(self.reactor.adopted, [70, 71])
        self.assertFalse(made[2].closed)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_one_too_many(self) -> None:
        """One who would have one that is kept is closed, and no others."""
        made = self.read(self.kept.first, self.kept.first)
        self.assertEqual(self.reactor.adopted, [])
        self.assertEqual([each.closed for each in made], [True, False])
        self.assertEqual(self.reactor.getReaders(), [])

    def test_taken_meanwhile(self) -> None:
        """Nobody is accepted when others have taken the last ones meanwhile."""
        self.kept.first = copy_number(0, 1) + 5
        self.read(self.kept.first - 2)
        self.kept.first -= 5
        made = self.read(self.kept.first - 2)
        self.assertEqual([each.closed for each in made], [False])
        self.assertEqual(self.reactor.adopted, [70])
        self.assertEqual(self.reactor.getReaders(), [])
        self.kept.first += 5
        self.reactor.advance(PAUSE)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [70, 70])

    def test_goes_on(self) -> None:
        """It goes on as soon as one is free, and all that is logged once."""
        self.read(self.kept.first, 5)
        free = self.kept.first
        self.kept.first = copy_number(0, 1)
        for _ in range(3):
            self.reactor.advance(PAUSE)
            self.assertEqual(self.reactor.getReaders(), [])
        self.kept.first = free
        self.reactor.advance(PAUSE)
        self.listener.doRead()
        self.assertEqual(self.reactor.adopted, [71])
        (logged,) = self.logged
        self.assertIn("kv accepts no clients for now", str(formatEvent(logged)))

    def test_stopped(self) -> None:
        """Nothing is left when it is stopped by whom it accepts, or later."""
        adopt = self.reactor.adoptStreamConnection

        def stop(fd: int, family: int, factory: object) -> None:
            adopt(fd, family, factory)
            self.listener.stop()

        with mock.patch.object(self.reactor, "adoptStreamConnection", stop):
            self.read(self.kept.first - 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])
