"""
How the streams of a hub share a turn.
"""

from __future__ import annotations

import socket
from select import EPOLLIN

from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.sockets.hub import LEAST_SHARE, TURN_BYTES, Hub
from tests.sockets.hub_fakes import DrivenClock


class Noting:
    """Notes its share, and reads what there is."""

    def __init__(self, hub: Hub, connection: socket.socket) -> None:
        self.hub, self.connection = hub, connection
        self.shares: list[int] = []

    def event(self, _: int) -> None:
        """Note it."""
        self.connection.recv(10)
        self.shares.append(self.hub.share)

    def shut(self, reason: Failure) -> None:
        """Nothing is to be closed."""


class ShareTests(TestCase):
    """Tests for L{Hub.share}."""

    timeout = 30

    def shares(self, count: int) -> set[int]:
        """Have so many streams bring something in one turn; what are their shares?"""
        hub = Hub(DrivenClock())
        streams = []
        for _ in range(count):
            ours, theirs = socket.socketpair()
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            streams.append(Noting(hub, ours))
            hub.watch(ours.fileno(), streams[-1], EPOLLIN)
            theirs.send(b"x")
        hub.turn()
        for stream in streams:
            hub.unwatch(stream.connection.fileno())
        return {share for stream in streams for share in stream.shares}

    def test_alone(self) -> None:
        """One has the turn for itself."""
        self.assertEqual(self.shares(1), {TURN_BYTES})

    def test_some(self) -> None:
        """Several have equal parts of it."""
        self.assertEqual(self.shares(64), {TURN_BYTES // 64})

    def test_many(self) -> None:
        """However many they are, there is something for each."""
        self.assertEqual(self.shares(256), {max(TURN_BYTES // 256, LEAST_SHARE)})
