"""
Tests for L{sockhost.sockets.hublistener}, on real sockets: what it saves are calls
of the kernel.
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import socket
import tempfile
from typing import Any
from unittest import mock

from attrs import evolve
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.sockets import hublistener
from sockhost.sockets.access import Access
from sockhost.sockets.bound import bind_unix
from sockhost.sockets.descriptors import copy_number
from sockhost.sockets.door import (
    DESCRIPTORS,
    DRAINING,
    NOT_ALLOWED,
    TOO_MANY,
    TOO_MANY_OF_USER,
)
from sockhost.sockets.hublistener import GUESS, HubListener
from sockhost.sockets.limits import Limits
from sockhost.sockets.listener import PAUSE
from sockhost.sockets.netstring import NetstringCodec
from sockhost.sockets.server import FrameServer
from sockhost.sockets.wire import pack
from tests.sockets.fakes import Scripted


class HubListenerCase(SynchronousTestCase):
    """A listener of a hub that a test turns."""

    def setUp(self) -> None:
        """Listen."""
        directory = tempfile.mkdtemp(prefix="hl-")
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "s")
        self.reactor = MemoryReactorClock()
        self.handler = Scripted()
        self.server = FrameServer(self.reactor, self.handler)
        self.lost: list[Failure] = []
        self.listener = HubListener(
            self.reactor, bind_unix(self.path), self.server, self.lost.append
        )
        self.listener.start()
        self.hub = self.listener._hub
        self.addCleanup(self.end)

    def end(self) -> None:
        """Leave nothing."""
        self.listener.stop()
        drained = self.server.drain(0)
        self.reactor.advance(0)
        self.hub.turn()
        self.successResultOf(drained)
        self.assertEqual(self.hub.fileno(), -1)
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def client(self) -> socket.socket:
        """Connect."""
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(5)
        client.connect(self.path)
        return client

    def turn(self, times: int = 1) -> None:
        """Let the hub serve."""
        for _ in range(times):
            self.hub.turn()

    def fail_to_accept(self, *numbers: int) -> None:
        """Have C{accept} fail so."""
        errors = [OSError(number, os.strerror(number)) for number in numbers]
        real = self.listener.bound.socket

        class Failing:
            def _accept(self) -> Any:
                if errors:
                    raise errors.pop(0)
                return real._accept()  # type: ignore[attr-defined]

            def fileno(self) -> int:
                return real.fileno()

            def close(self) -> None:
                real.close()

        failing: Any = Failing()
        self.listener.bound.socket = failing

    def leave(self, count: int) -> None:
        """Keep all descriptors back that are free now, but for so many."""
        self.listener._last = copy_number(self.hub.fileno()) + count - 1
        self.server.kept.first = self.listener._last + 1


class HubListenerTests(HubListenerCase):
    """Tests for L{HubListener}."""

    def test_interface(self) -> None:
        """It is a listener like the other, but none of the reactor's."""
        verifyObject(IReadDescriptor, self.listener)
        self.assertEqual(self.reactor.getReaders(), [self.hub])

    def test_client(self) -> None:
        """The handler is told who has come."""
        self.client()
        self.turn()
        (client,) = self.handler.clients
        self.assertEqual(
            (client.pid, client.uid, client.gid),
            (os.getpid(), os.geteuid(), os.getegid()),
        )
        self.assertEqual(self.server.counters.accepted, 1)

    def test_known_processes(self) -> None:
        """What is known of a process is kept, of few at a time."""
        with mock.patch.object(hublistener, "_KEPT", 1):
            for _ in range(3):
                self.client()
                self.turn()
        peers = {id(client._session.peer) for client in self.handler.clients}  # type: ignore[attr-defined]
        self.assertEqual(len(peers), 1)
        self.listener._peers[b"other"] = self.listener._peers.popitem()[1]
        with mock.patch.object(hublistener, "_KEPT", 1):
            self.client()
            self.turn()
        self.assertEqual(len(self.listener._peers), 1)

    def test_burst(self) -> None:
        """It accepts as many at once as there were the last time, and more."""
        for _ in range(40):
            self.client()
        accepted = []
        while len(self.handler.clients) < 40:
            before = len(self.handler.clients)
            self.turn()
            accepted.append(len(self.handler.clients) - before)
        self.assertEqual(accepted, [1, 2, 4, 8, 16, 9])
        self.client()
        self.turn()
        self.assertEqual(len(self.handler.clients), 41)

    def test_read_at_once(self) -> None:
        """Where clients write at once, their first frame is read at once."""
        answered = []
        for _ in range(GUESS + 4):
            client = self.client()
            client.send(pack(b"x"))
            self.turn()
            client.setblocking(False)
            try:
                answered.append(client.recv(100) == pack(b"x"))
            except BlockingIOError:
                answered.append(False)
            self.turn(2)
        self.assertEqual(answered, [False] * GUESS + [True] * 4)

    def test_silent_first(self) -> None:
        """Where they do not, it is tried now and then only."""
        for _ in range(3 * GUESS):
            self.client()
            self.turn()
        self.assertEqual(len(self.handler.clients), 3 * GUESS)
        self.assertEqual(self.handler.frames, [])

    def test_refused(self) -> None:
        """Who may not come in is closed, and counted by why."""
        self.server.limits = Limits(max_clients=1)
        self.client()
        self.turn()
        cases: list[tuple[str, Limits, Access | None]] = [
            (TOO_MANY, Limits(max_clients=1), None),
            (TOO_MANY_OF_USER, Limits(max_clients_per_uid=1), None),
            (NOT_ALLOWED, Limits(), Access.parse(["4294967294"])),
        ]
        for why, limits, access in cases:
            self.server.limits = limits
            if access is not None:
                self.server.door.access = access
            client = self.client()
            self.turn()
            self.assertEqual(client.recv(1), b"")
            self.assertEqual(self.server.counters.refused_for[why], 1)
        self.assertEqual(len(self.handler.clients), 1)

    def test_draining(self) -> None:
        """Nobody comes in while the server drains."""
        self.server.draining = True
        self.assertEqual(self.client().send(b"x"), 1)
        self.turn()
        self.assertEqual(self.server.counters.refused_for, {DRAINING: 1})

    def test_drained_by_another(self) -> None:
        """Nor does who waited beside the one that made it drain."""

        def drain(_client: object) -> None:
            self.server.drain(0)

        self.handler.greet = drain
        self.listener._burst = 3
        for _ in range(3):
            self.client()
        self.turn(2)
        self.assertEqual(len(self.handler.clients), 1)
        self.assertEqual(self.server.totals.refused_for, {DRAINING: 2})

    def test_exhausted(self) -> None:
        """Without descriptors it pauses, says so once, and goes on by itself."""
        with capturedLogs() as logged:
            for _ in range(3):
                self.fail_to_accept(errno.EMFILE)
                self.client()
                self.turn()
                self.assertEqual(self.handler.clients, [])
                self.reactor.advance(PAUSE)
        self.assertEqual(len(logged), 1)
        self.turn(3)
        self.assertEqual(len(self.handler.clients), 3)

    def test_cannot_be_watched(self) -> None:
        """The same holds when a client cannot be watched; it is closed."""
        for number in (errno.ENOMEM, errno.ENOSPC):
            client = self.client()
            watch = mock.Mock(side_effect=OSError(number, "no"))
            with mock.patch.object(self.hub, "watch", watch):
                self.turn()
            self.assertEqual(client.recv(1), b"")
            self.reactor.advance(PAUSE)
        self.client()
        self.turn()
        self.assertEqual(len(self.handler.clients), 1)
        self.assertEqual(self.lost, [])

    def test_kept(self) -> None:
        """
        The last that may have a descriptor gets in; the others wait, and none
        of them is closed, until there is one again.
        """
        first, second = self.client(), self.client()
        self.leave(1)
        with capturedLogs() as logged:
            self.turn(3)
            self.assertEqual(len(self.handler.clients), 1)
            self.reactor.advance(PAUSE)
            self.turn(3)
        self.assertEqual(len(logged), 1)
        self.assertEqual(len(self.handler.clients), 1)
        first.close()
        self.turn(3)
        self.reactor.advance(PAUSE)
        self.turn()
        self.assertEqual(len(self.handler.clients), 2)
        self.assertEqual(self.server.counters.refused, 0)
        second.send(pack(b"x"))
        self.turn()
        self.assertEqual(second.recv(100), pack(b"x"))

    def test_none_left(self) -> None:
        """One who comes when none is left is closed, and no others."""
        first, second = self.client(), self.client()
        self.leave(0)
        self.turn(3)
        self.assertEqual(first.recv(1), b"")
        second.setblocking(False)
        self.assertRaises(BlockingIOError, second.recv, 1)
        self.assertEqual(self.server.counters.refused_for, {DESCRIPTORS: 1})

    def test_no_hub(self) -> None:
        """It goes on when there is an epoll again, which went in the pause."""
        self.fail_to_accept(errno.EMFILE)
        self.client()
        self.turn()
        self.assertEqual(self.hub.fileno(), -1)
        error = OSError(errno.EMFILE, "no")
        with mock.patch.object(select, "epoll", side_effect=error):
            self.reactor.advance(PAUSE)
        self.reactor.advance(PAUSE)
        self.turn()
        self.assertEqual((len(self.handler.clients), self.lost), (1, []))

    def test_no_codec(self) -> None:
        """One whose codec cannot be made is closed, and costs nobody else."""
        errors = ValueError("a plugin's"), OSError(errno.EMFILE, "no"), SystemExit(1)
        self.server.limits = Limits(max_clients=1)
        for error in errors:
            self.use_codec(mock.Mock(side_effect=error))
            client = self.client()
            self.turn()
            self.assertEqual(client.recv(1), b"")
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
        self.assertEqual(self.server.status()["clients"], 0)
        self.use_codec(NetstringCodec)
        client = self.client()
        client.send(b"1:x,")
        self.turn(3)
        self.assertEqual(client.recv(100), b"1:x,")
        self.assertEqual(self.lost, [])

    def use_codec(self, make_codec: Any) -> None:
        """Have the clients that come from now on speak another language."""
        self.server.make_codec = make_codec
        self.listener._clients = self.listener._new_clients()

    def test_gone_already(self) -> None:
        """A client that has gone again keeps nobody else waiting."""
        self.fail_to_accept(errno.ECONNABORTED)
        self.client()
        self.turn(2)
        self.assertEqual(len(self.handler.clients), 1)

    def test_interrupted(self) -> None:
        """A signal, and a client that is not let through, end no accepting."""
        for number in (errno.EINTR, errno.EPERM, errno.EPROTO):
            self.fail_to_accept(number, number)
            self.client()
            self.turn(3)
        self.assertEqual(len(self.handler.clients), 3)
        self.assertEqual(self.lost, [])

    def test_lost(self) -> None:
        """When the socket breaks, accepting ends and that is told, once."""
        self.fail_to_accept(errno.EBADF)
        self.client()
        self.turn()
        self.assertEqual(len(self.lost), 1)
        self.assertEqual(self.hub.fileno(), -1)

    def test_stop(self) -> None:
        """Stopping, also during a pause, closes the socket and tells nobody."""
        self.fail_to_accept(errno.EMFILE)
        self.client()
        self.turn()
        self.listener.stop()
        self.assertEqual(self.listener.fileno(), -1)
        self.assertEqual(self.lost, [])

    def test_reactor_ends(self) -> None:
        """The end of the reactor ends the listener and its clients."""
        self.client()
        self.turn()
        self.hub.connectionLost(Failure(RuntimeError("over")))
        self.assertEqual(len(self.lost), 1)
        self.assertEqual(len(self.handler.gone), 1)

    def test_rules_change(self) -> None:
        """Clients have the limit for frames that was in force when they came."""
        early = self.client()
        self.turn()
        self.server.limits = evolve(self.server.limits, max_frame=8)
        late = self.client()
        self.turn()
        for client in (early, late):
            client.send(pack(b"12345"))
        self.turn(3)
        self.assertEqual(early.recv(100), pack(b"12345"))
        self.assertEqual(late.recv(100), b"")
        self.assertEqual(self.server.status()["clients"], 1)
