"""
Tests for L{sockhost.keeper.turns}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from sockhost.keeper.turns import Mailbox, Waiters


class MailboxTests(SynchronousTestCase):
    """What waits for its turn."""

    def test_defect(self) -> None:
        """What raises is logged, and costs those behind it nothing."""
        mailbox, handled = Mailbox(), list[str]()

        def first() -> None:
            mailbox.post(lambda: handled.append("second"))
            raise ZeroDivisionError

        mailbox.post(first)
        mailbox.post(lambda: handled.append("third"))
        self.assertEqual(handled, ["second", "third"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class WaitersTests(SynchronousTestCase):
    """Who waits."""

    def setUp(self) -> None:
        self.waiters = Waiters()

    def test_fire(self) -> None:
        """They fire together, once."""
        waiting = [self.waiters.make() for _ in range(2)]
        for each in waiting:
            self.waiters.add(each)
            self.assertNoResult(each)
        self.waiters.fire()
        self.waiters.fire()
        self.assertEqual([self.successResultOf(each) for each in waiting], [None] * 2)

    def test_fail(self) -> None:
        """They fail together, once."""
        waiting = [self.waiters.make() for _ in range(2)]
        for each in waiting:
            self.waiters.add(each)
        self.waiters.fail(ValueError())
        self.waiters.fail(ValueError())
        for each in waiting:
            self.failureResultOf(each, ValueError)

    def test_cancelled(self) -> None:
        """One that is cancelled is not kept, before it waits or after."""
        for added in (False, True):
            waiting = self.waiters.make()
            if added:
                self.waiters.add(waiting)
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
            self.waiters.add(waiting)
            self.assertEqual(self.waiters._waiting, [])

    def test_cancel_another(self) -> None:
        """One that fires or fails may cancel another."""
        for end in (self.waiters.fire, lambda: self.waiters.fail(ValueError())):
            first, second = self.waiters.make(), self.waiters.make()
            self.waiters.add(first)
            self.waiters.add(second)
            first.addBoth(lambda _, other: other.cancel(), second)
            end()
            self.failureResultOf(second, CancelledError)
