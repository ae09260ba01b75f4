"""
Tests for L{sockhost.sockets.latency}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.latency import Histogram, TimedHandler
from tests.sockets.fakes import Later, Scripted, Served


class HistogramTests(SynchronousTestCase):
    """Tests for L{Histogram}."""

    def test_buckets(self) -> None:
        """A duration is in the bucket of its power of two."""
        histogram = Histogram()
        for nanoseconds in (0, 999, 1000, 1999, 2000, 1_000_000):
            histogram.note(nanoseconds)
        status: Any = histogram.status()
        self.assertEqual(status["count"], 6)
        self.assertEqual(status["below_us"], {"1": 2, "2": 2, "4": 1, "1024": 1})
        self.assertEqual((status["p50_us"], status["p99_us"]), (2, 1024))

    def test_empty(self) -> None:
        """Without any there is nothing to say."""
        self.assertEqual(
            Histogram().status(),
            {"count": 0, "p50_us": 0, "p99_us": 0, "below_us": {}},
        )

    @given(st.lists(st.integers(0, 2**70), min_size=1))
    def test_quantiles(self, durations: list[int]) -> None:
        """Half of all stay below the middle, however long they are."""
        histogram = Histogram()
        for nanoseconds in durations:
            histogram.note(nanoseconds)
        middle, top = histogram.quantile(0.5), histogram.quantile(1)
        longest = 2**39 * 1000
        below = [each for each in durations if min(each, longest - 1) < middle * 1000]
        self.assertGreaterEqual(len(below) * 2, len(durations))
        self.assertTrue(all(min(each, longest - 1) < top * 1000 for each in durations))


class Batching:
    """A handler of batches, answering as the test says."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def received_batch(self, client: object, frames: Sequence[bytes]) -> object:
        """Answer."""
        return self.answer


class TimedHandlerTests(SynchronousTestCase):
    """Tests for L{TimedHandler}."""

    def setUp(self) -> None:
        """Have a clock that goes on by a microsecond each time."""
        self.now = 0
        self.client: Any = None

    def clock(self) -> int:
        """Tell the time."""
        self.now += 1000
        return self.now

    def below(self, timed: TimedHandler) -> object:
        """What the histogram has."""
        status: Any = timed.latency.status()
        return status["below_us"]

    def test_at_once(self) -> None:
        """An answer at once is passed on and timed."""
        timed = TimedHandler(Scripted(), self.clock)
        self.assertEqual(timed.received(self.client, b"x"), b"x")
        self.assertEqual(self.below(timed), {"2": 1})

    def test_later(self) -> None:
        """An answer that comes later is timed when it comes."""
        later = Later()
        timed = TimedHandler(Scripted(later), self.clock)
        answer: Any = timed.received(self.client, b"x")
        self.assertEqual(self.below(timed), {})
        self.now += 100_000
        later[0].callback(b"y")
        self.assertEqual(self.successResultOf(answer), b"y")
        self.assertEqual(self.below(timed), {"128": 1})

    def test_coroutine(self) -> None:
        """A coroutine is driven as far as it goes."""

        async def answer(client: object, frame: bytes) -> bytes:
            return frame

        timed = TimedHandler(Scripted(answer), self.clock)
        self.assertEqual(timed.received(self.client, b"x"), b"x")
        self.assertEqual(self.below(timed), {"2": 1})

    def test_cancelled(self) -> None:
        """Cancelling reaches the handler's own work."""
        later = Later()
        timed = TimedHandler(Scripted(later), self.clock)
        answer: Any = timed.received(self.client, b"x")
        answer.addErrback(lambda _: None)
        answer.cancel()
        self.assertEqual(later.cancelled, [later[0]])

    def test_batch(self) -> None:
        """Each frame of a batch counts, those that are answered later then."""
        waiting: Deferred[bytes] = Deferred()
        timed = TimedHandler(Batching([b"a", waiting, None]), self.clock)
        answers: Any = timed.received_batch(self.client, [b"1", b"2", b"3"])
        self.assertEqual(answers, [b"a", waiting, None])
        self.assertEqual(self.below(timed), {"2": 2})
        waiting.callback(b"b")
        self.assertEqual(self.below(timed), {"2": 2, "4": 1})

    def test_batch_later(self) -> None:
        """A whole batch may be answered later."""
        waiting: Deferred[Any] = Deferred()
        timed = TimedHandler(Batching(waiting), self.clock)
        timed.received_batch(self.client, [b"1", b"2"])
        waiting.callback([b"a", b"b"])
        self.assertEqual(self.below(timed), {"2": 2})

    def test_what_is_missing(self) -> None:
        """What the handler lacks is missing, so that nobody calls it."""
        timed = TimedHandler(Batching(None))
        self.assertFalse(hasattr(timed, "received"))
        self.assertFalse(hasattr(timed, "connected"))
        self.assertFalse(hasattr(TimedHandler(Scripted()), "received_batch"))

    def test_served(self) -> None:
        """The status of a server has it."""
        served = Served(handler=TimedHandler(Scripted(), self.clock))
        served.connect().send(b"x", b"y")
        status: Any = served.server.status()
        self.assertEqual(status["latency"]["count"], 2)
