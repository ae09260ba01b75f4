"""Tests of who may use the control API."""

from __future__ import annotations

import os
import socket
from typing import Any, cast

from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyRequest

from sockhost.control.access import Access, allowed_users, asked_by, peer_of
from sockhost.control.answers import Forbidden
from sockhost.sockets.credentials import PeerCredentials

NOBODY = PeerCredentials(pid=7, uid=65534, gid=65534)


class _Transport:
    def __init__(self, handle: socket.socket) -> None:
        self._handle = handle

    def getHandle(self) -> socket.socket:
        return self._handle


def request(method: bytes = b"GET") -> Request:
    """Make a request."""
    dummy = DummyRequest([b"units"])
    dummy.method = method
    asked = cast(Request, dummy)
    asked.path = b"/units"
    return asked


class PeerTests(SynchronousTestCase):
    """The kernel says who is there."""

    def test_peer_of(self) -> None:
        """The peer of a connection of this process is this process."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        asked: Any = request()
        asked.transport = _Transport(ours)
        peer = peer_of(asked)
        self.assertEqual((peer.uid, peer.pid), (os.geteuid(), os.getpid()))
        self.assertEqual(asked_by(peer), f"uid {os.geteuid()} pid {os.getpid()}")

    def test_allowed(self) -> None:
        """Root, the host's own user and those given are allowed."""
        self.assertEqual(allowed_users([33]), {0, os.geteuid(), 33})


class AccessTests(SynchronousTestCase):
    """Requests are let through, refused and written down."""

    def setUp(self) -> None:
        """Listen to the log."""
        self.logged: list[Any] = []
        observer = cast(ILogObserver, self.logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def test_let_through(self) -> None:
        """An allowed user passes, and asking for something is not written down."""
        peer = PeerCredentials(pid=7, uid=33, gid=33)
        access = Access(frozenset({33}), lambda _: peer)
        self.assertIs(access.check(request()), peer)
        self.assertEqual(self.logged, [])

    def test_refused(self) -> None:
        """Any other user is refused, and that is written down."""
        access = Access(frozenset({0, 33}), lambda _: NOBODY)
        error = self.assertRaises(Forbidden, access.check, request(b"POST"))
        self.assertIn("user 65534 may not use this host", str(error))
        (event,) = self.logged
        self.assertEqual((event["uid"], event["pid"]), (65534, 7))
        self.assertEqual((event["verb"], event["target"]), ("POST", "/units"))
        self.assertEqual(event["outcome"], "forbidden")

    def test_unknown(self) -> None:
        """Somebody whom the kernel does not name is refused."""
        access = Access(frozenset({0}), lambda _: PeerCredentials())
        self.assertRaises(Forbidden, access.check, request())
