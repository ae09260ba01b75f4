"""
Any bytes, in any pieces and with any ends, for a hub on real sockets.
"""

from __future__ import annotations

import random
import socket

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.wire import pack
from tests.functional.livehub import Answering, LiveHub, split
from tests.fuzz.hub_target import check_hub

# Every example has clients of its own; and on a machine that does other things
# too it may take any time to make one.
HARMLESS = [HealthCheck.differing_executors, HealthCheck.too_slow]

KINDS = b"abcdlncx"
FRAMES = st.lists(
    st.tuples(st.sampled_from(KINDS.replace(b"d", b"")), st.integers(0, 300)),
    max_size=200,
)


class FuzzTests(SynchronousTestCase):
    """Whatever comes, in whatever pieces."""

    def setUp(self) -> None:
        """Listen, with a bystander."""
        self.live = LiveHub(Answering())
        self.addCleanup(self.live.close)
        self.bystander = self.live.client()
        self.addCleanup(self.bystander.close)

    def tell(self, client: socket.socket, data: bytes, cuts: random.Random) -> bytes:
        """Send bytes in pieces; get what comes back until there is no more."""
        got, sent, quiet = b"", 0, 0
        while quiet < 3:
            quiet += 1
            if sent < len(data):
                piece = data[sent : sent + cuts.choice((1, 3, 4, 5, 17, 1000, 70000))]
                try:
                    sent += client.send(piece)
                except BlockingIOError:
                    pass
                except OSError:
                    sent = len(data)
                quiet = 0
            if quiet > 1 or cuts.random() < 0.5:
                self.live.handler.answer()
            self.live.turn()
            try:
                some = client.recv(cuts.choice((10, 65536, 1 << 20)))
            except BlockingIOError:
                continue
            except OSError:
                break
            if not some:
                break
            got += some
            quiet = 0
            self.live.handler.answer()
        return got

    def check_bystander(self) -> None:
        """The bystander is served."""
        self.bystander.send(pack(b"still here"))
        self.live.until(lambda: self.peeked() == pack(b"still here"))
        self.bystander.recv(100)

    def peeked(self) -> bytes:
        """What there is for the bystander."""
        try:
            return self.bystander.recv(100, socket.MSG_PEEK)
        except BlockingIOError:
            return b""

    @settings(max_examples=60, suppress_health_check=HARMLESS)
    @given(
        st.binary(max_size=400), st.integers(), st.sampled_from(["close", "wr", "both"])
    )
    def test_any_bytes(self, data: bytes, seed: int, end: str) -> None:
        """Any bytes in any pieces with any end leave nothing behind."""
        cuts = random.Random(seed)
        client = self.live.client()
        self.tell(client, data, cuts)
        if end == "wr":
            client.shutdown(socket.SHUT_WR)
        elif end == "both":
            client.shutdown(socket.SHUT_RDWR)
        self.check_bystander()
        client.close()
        self.live.handler.answer()
        self.live.until(lambda: self.live.handler.here == 1)
        self.assertEqual(self.live.server.status()["buffered"], 0)
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(max_examples=60, suppress_health_check=HARMLESS)
    @given(FRAMES, st.integers(), st.integers(0, 3))
    def test_any_frames(
        self, frames: list[tuple[int, int]], seed: int, repeat: int
    ) -> None:
        """Every frame is answered once, however it was cut and is answered."""
        cuts = random.Random(seed)
        payloads = [bytes([kind]) + cuts.randbytes(size) for kind, size in frames]
        payloads += [payloads[0]] * (80 * repeat) if payloads else []
        payloads += [b"x" + cuts.randbytes(70_000)] * cuts.randrange(2)
        client = self.live.client()
        got = self.tell(client, b"".join(map(pack, payloads)), cuts)
        client.close()
        self.assertEqual(sorted(split(got)), sorted(payloads))
        self.live.until(lambda: self.live.handler.here == 1)
        self.assertEqual(self.live.server.status()["buffered"], 0)

    @settings(max_examples=40, suppress_health_check=HARMLESS)
    @given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=150), st.integers())
    def test_dropped(self, kinds: list[int], seed: int) -> None:
        """Who is dropped has got what was answered before, and no more."""
        payloads = [bytes([kind]) * 4 for kind in kinds]
        client = self.live.client()
        cuts = random.Random(seed)
        got = split(self.tell(client, b"".join(map(pack, payloads)), cuts))
        client.close()
        before = payloads
        if b"d" * 4 in payloads:
            before = payloads[: payloads.index(b"d" * 4)]
            now = [each for each in before if each[:1] not in b"l"]
            self.assertEqual([each for each in got if each[:1] not in b"l"], now)
        else:
            self.assertEqual(sorted(got), sorted(before))
        self.live.handler.answer()
        self.live.until(lambda: self.live.handler.here == 1)


class OrderTests(SynchronousTestCase):
    """Several clients at once, who send, read, stop and go in any order."""

    @settings(max_examples=200)
    @given(st.binary(max_size=400))
    def test_any_order(self, data: bytes) -> None:
        """
        Who behaves well gets all answers whatever the others do, with any
        limits, and nothing is left of anybody.
        """
        check_hub(data)
        self.assertEqual(self.flushLoggedErrors(), [])
