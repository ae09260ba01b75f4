# -*- test-case-name: tests.sockets.test_latency -*-
"""
How long a handler takes for its answers.

It is measured around the handler and nowhere else, so a socket that does not
measure pays nothing for it; one that does pays about half a microsecond for
each frame, which is a fifth of what a small frame costs when pipelined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from sockhost.interfaces import IClient
from sockhost.sockets.answers import settle

BUCKETS = 40
"""The last one begins at 2**38 microseconds, which is three days."""


@define(eq=False)
class Histogram:
    """
    Counts durations by their power of two: bucket 0 has those below one
    microsecond, bucket n those below 2**n.
    """

    _counts: list[int] = field(factory=lambda: [0] * BUCKETS, init=False)

    def note(self, nanoseconds: int) -> None:
        """Count a duration."""
        bucket = (nanoseconds // 1000).bit_length()
        self._counts[bucket if bucket < BUCKETS else -1] += 1

    def quantile(self, part: float) -> int:
        """
        Say what this part of all durations stayed below, in microseconds, to
        a power of two; 0 if there are none.
        """
        wanted, seen = part * sum(self._counts), 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return 1 << bucket
        return 0

    def status(self) -> Mapping[str, object]:
        """
        Describe it: how many, the quantiles, and the buckets that have
        something, each by the microseconds that it stays below.
        """
        return {
            "count": sum(self._counts),
            "p50_us": self.quantile(0.5),
            "p99_us": self.quantile(0.99),
            "below_us": {
                str(1 << bucket): count
                for bucket, count in enumerate(self._counts)
                if count
            },
        }


class TimedHandler:
    """
    A handler that is a handler of somebody else's, with a clock held to it.

    @ivar latency: the time from each frame to its answer, or to the handler's
        saying that there is none.
    """

    def __init__(
        self, handler: Any, clock: Callable[[], int] = perf_counter_ns
    ) -> None:
        """
        @param clock: tells nanoseconds.
        """
        self.latency = Histogram()
        self._handler = handler
        self._clock = clock
        self._received = getattr(handler, "received", None)
        self._batch = getattr(handler, "received_batch", None)
        # What the other one lacks must be missing here, too.
        for name in ("connected", "disconnected"):
            if hasattr(handler, name):
                setattr(self, name, getattr(handler, name))
        if self._received is not None:
            self.received = self._timed
        if self._batch is not None:
            self.received_batch = self._timed_batch

    def _timed(self, client: IClient, frame: bytes) -> object:
        begun = self._clock()
        assert self._received is not None
        answer = self._received(client, frame)
        if type(answer) is not bytes:
            answer = settle(answer)
            if isinstance(answer, Deferred):
                return answer.addBoth(self._later, begun, 1)
        self.latency.note(self._clock() - begun)
        return answer

    def _timed_batch(self, client: IClient, frames: Sequence[bytes]) -> object:
        begun = self._clock()
        assert self._batch is not None
        answers = settle(self._batch(client, frames))
        if isinstance(answers, Deferred):
            return answers.addBoth(self._later, begun, len(frames))
        self._later(None, begun, len(frames) - _waiting(answers, self._watch(begun)))
        return answers

    def _watch(self, begun: int) -> Callable[[Deferred[Any]], object]:
        return lambda answer: answer.addBoth(self._later, begun, 1)

    def _later(self, result: object, begun: int, frames: int) -> object:
        took = self._clock() - begun
        for _ in range(frames):
            self.latency.note(took)
        return result


def _waiting(answers: object, watch: Callable[[Deferred[Any]], object]) -> int:
    """Watch those answers of a batch that are not there yet; say how many."""
    found = [
        each
        for each in (answers if isinstance(answers, Sequence) else ())
        if isinstance(each, Deferred)
    ]
    for each in found:
        watch(each)
    return len(found)
