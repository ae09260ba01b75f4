# -*- test-case-name: tests.host.test_once -*-
"""
Tests for L{sockhost.host.once}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.host.once import Coalesced


class CoalescedTests(SynchronousTestCase):
    """Work that does not overlap with itself."""

    def setUp(self) -> None:
        self.runs: list[tuple[str, Deferred[int]]] = []
        self.once: Coalesced[int] = Coalesced(self.work)

    def work(self, asked_by: str) -> Deferred[int]:
        """Work until the test says that it is done."""
        done: Deferred[int] = Deferred()
        self.runs.append((asked_by, done))
        return done

    def who(self) -> list[str]:
        """For whom it was done."""
        return [asked_by for asked_by, _ in self.runs]

    def test_once(self) -> None:
        """One who asks gets the outcome of the work."""
        asked = self.once.call("ann")
        self.assertNoResult(asked)
        self.runs[0][1].callback(1)
        self.assertEqual(self.successResultOf(asked), 1)
        self.assertEqual(self.who(), ["ann"])

    def test_meanwhile(self) -> None:
        """All who ask while it is being done share the next run."""
        first = self.once.call("ann")
        rest = [self.once.call(name) for name in ("bob", "cid", "dan")]
        self.assertEqual(self.who(), ["ann"])
        self.runs[0][1].callback(1)
        self.assertEqual(self.who(), ["ann", "bob"])
        self.assertEqual(self.successResultOf(first), 1)
        self.runs[1][1].callback(2)
        self.assertEqual([self.successResultOf(one) for one in rest], [2, 2, 2])
        self.assertEqual(len(self.runs), 2)

    def test_again(self) -> None:
        """After the work has ended, it is done anew for the next."""
        for number in (1, 2):
            asked = self.once.call("ann")
            self.runs[-1][1].callback(number)
            self.assertEqual(self.successResultOf(asked), number)

    def test_exit(self) -> None:
        """Work that exits has failed, and is done again for the next."""
        asked = self.once.call("ann")
        self.runs[0][1].errback(SystemExit(3))
        self.failureResultOf(asked, SystemExit)
        again = self.once.call("bob")
        self.runs[1][1].callback(1)
        self.assertEqual(self.successResultOf(again), 1)

    def test_failure(self) -> None:
        """A failure reaches all who share the run, and nobody else."""
        first = self.once.call("ann")
        second, third = self.once.call("bob"), self.once.call("cid")
        self.runs[0][1].errback(ValueError("first"))
        self.failureResultOf(first, ValueError)
        self.runs[1][1].errback(KeyError("second"))
        self.failureResultOf(second, KeyError)
        self.failureResultOf(third, KeyError)

    def test_raises(self) -> None:
        """Work that raises at once fails like any other, and can be done again."""

        def work(asked_by: str) -> Deferred[int]:
            raise ValueError(asked_by)

        once: Coalesced[int] = Coalesced(work)
        self.failureResultOf(once.call("ann"), ValueError)
        self.failureResultOf(once.call("bob"), ValueError)

    def test_asked_from_the_outcome(self) -> None:
        """Who asks again when told of the outcome gets a new run."""
        again: list[Deferred[int]] = []
        first = self.once.call("ann")
        first.addCallback(lambda _: again.append(self.once.call("ann again")))
        self.runs[0][1].callback(1)
        self.assertEqual(self.who(), ["ann", "ann again"])
        self.runs[1][1].callback(2)
        self.assertEqual(self.successResultOf(again[0]), 2)

    def test_cancel_waiting(self) -> None:
        """A request that is withdrawn before its run costs no run."""
        self.once.call("ann")
        second = self.once.call("bob")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.runs[0][1].callback(1)
        self.assertEqual(self.who(), ["ann"])

    def test_cancel_one_of_two(self) -> None:
        """The others who wait for the run get it."""
        self.once.call("ann")
        second, third = self.once.call("bob"), self.once.call("cid")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.runs[0][1].callback(1)
        self.runs[1][1].callback(2)
        self.assertEqual(self.successResultOf(third), 2)

    def test_cancel_under_way(self) -> None:
        """Who loses interest during the work detaches itself and nobody else."""
        first = self.once.call("ann")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second = self.once.call("bob")
        self.runs[0][1].callback(1)
        self.assertEqual(self.who(), ["ann", "bob"])
        self.runs[1][1].callback(2)
        self.assertEqual(self.successResultOf(second), 2)
