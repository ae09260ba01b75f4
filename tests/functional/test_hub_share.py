"""
How the streams of a hub share a turn.
"""

from __future__ import annotations

import socket
from select import EPOLLIN

from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sockhost.sockets.hub import CROWD, GREEDY, LEAST_SHARE, TURN_BYTES, Hub
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

    timeout = 100

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


class Flooded:
    """A stream that always has more, or has something now and then."""

    def __init__(self, hub: Hub, connection: socket.socket, greedy: bool) -> None:
        self.hub, self.connection, self.greedy = hub, connection, greedy
        self.served = 0

    def event(self, _: int) -> None:
        """Read a little."""
        self.connection.recv(1)
        self.served += 1
        if self.greedy:
            self.hub.greedy[self.connection.fileno()] = None

    def shut(self, reason: Failure) -> None:
        """Nothing is to be closed."""


class GreedyTests(TestCase):
    """Tests for what those get who take all that they may."""

    timeout = 100

    def setUp(self) -> None:
        """Make a hub."""
        self.hub = Hub(DrivenClock())

    def watch(self, greedy: bool, count: int) -> list[Flooded]:
        """Watch streams that have something for ten turns."""
        streams = []
        for _ in range(count):
            ours, theirs = socket.socketpair()
            self.addCleanup(ours.close)
            self.addCleanup(theirs.close)
            theirs.send(b"x" * 10)
            streams.append(Flooded(self.hub, ours, greedy))
            self.hub.watch(ours.fileno(), streams[-1], EPOLLIN)
            self.addCleanup(self.hub.unwatch, ours.fileno())
        return streams

    def test_crowd(self) -> None:
        """In a crowd a few of them are served in each turn, all others always."""
        greedy, others = self.watch(True, 3 * GREEDY), self.watch(False, CROWD)
        self.hub.turn()
        self.assertEqual({each.served for each in (*greedy, *others)}, {1})
        for _ in range(3):
            self.hub.turn()
        self.assertEqual([each.served for each in greedy], [2] * len(greedy))
        self.assertEqual([each.served for each in others], [4] * len(others))

    def test_few(self) -> None:
        """Where there are few, nobody has to wait."""
        greedy = self.watch(True, CROWD)
        for _ in range(3):
            self.hub.turn()
        self.assertEqual([each.served for each in greedy], [3] * len(greedy))

    def test_reformed(self) -> None:
        """Whoever is served and has no more is like the others again."""
        greedy = self.watch(True, 3 * GREEDY)
        self.hub.turn()
        for each in greedy:
            each.greedy = False
        for _ in range(3):
            self.hub.turn()
        self.assertEqual(self.hub.greedy, {})
        before = [each.served for each in greedy]
        self.hub.turn()
        after = [each.served for each in greedy]
        self.assertEqual(after, [count + 1 for count in before])

    def test_gone(self) -> None:
        """A descriptor that is greedy is not when it is another's."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        theirs.send(b"x")
        self.watch(False, 1)
        self.hub.watch(ours.fileno(), Flooded(self.hub, ours, True), EPOLLIN)
        self.hub.turn()
        self.assertEqual(self.hub.greedy, {ours.fileno(): None})
        self.hub.unwatch(ours.fileno())
        self.assertEqual(self.hub.greedy, {})
