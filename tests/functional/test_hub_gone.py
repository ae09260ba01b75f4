"""
Clients of a hub that go, on a real kernel, while they are not read from.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import IClient
from sockhost.sockets.limits import Limits
from sockhost.sockets.wire import pack
from tests.functional.livehub import LiveHub


class Slow:
    """A handler that answers when the test says so."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.waiting: list[Deferred[bytes | None]] = []
        self.cancelled = 0

    def received(self, client: IClient, frame: bytes) -> Deferred[bytes | None]:
        """Note it."""
        self.got.append(frame)
        self.waiting.append(Deferred(self.cancel))
        return self.waiting[-1]

    def cancel(self, _: object) -> None:
        """Note it."""
        self.cancelled += 1

    def answer(self) -> None:
        """Let all that wait be done."""
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(None)


class GoneTests(SynchronousTestCase):
    """What a client leaves behind."""

    def setUp(self) -> None:
        """Let a client have as much in flight as it may."""
        self.handler = Slow()
        self.live = LiveHub(self.handler, Limits(max_in_flight=4))
        self.addCleanup(self.live.close)
        self.client = self.live.client()
        self.addCleanup(self.client.close)
        self.send(4)

    def send(self, count: int) -> None:
        """Send frames, and let the server do what it wants."""
        self.client.sendall(pack(b"x") * count)
        self.turn()

    def turn(self) -> None:
        """Let the server do what it wants."""
        for _ in range(5):
            self.live.turn()

    def test_frames(self) -> None:
        """What it has sent reaches the handler, and its end costs no turn."""
        self.send(4)
        self.client.close()
        self.turn()
        self.assertEqual((len(self.handler.got), self.handler.cancelled), (4, 0))
        self.assertEqual(self.live.hub.poller.poll(0), [])
        self.handler.answer()
        self.turn()
        self.assertEqual((len(self.handler.got), self.handler.cancelled), (8, 4))
        self.assertEqual(self.live.server.status()["clients"], 0)

    def test_nothing(self) -> None:
        """If it has sent nothing, its requests are cancelled at once."""
        self.client.close()
        self.turn()
        self.assertEqual((len(self.handler.got), self.handler.cancelled), (4, 4))
        self.assertEqual(self.live.server.status()["clients"], 0)
