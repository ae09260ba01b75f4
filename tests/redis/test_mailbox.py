"""
Tests for L{sockhost.redis.mailbox}: a bounded queue.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.redis.mailbox import Mailbox, Overflow


class MailboxTests(SynchronousTestCase):
    """L{Mailbox}."""

    def drained(self, mailbox: Mailbox[int]) -> list[int]:
        """Take everything that waits."""
        return [self.successResultOf(mailbox.get()) for _ in range(len(mailbox))]

    def test_order(self) -> None:
        """Items are got in their order, by those who ask first."""
        mailbox: Mailbox[int] = Mailbox(10)
        early = [mailbox.get() for _ in range(2)]
        for item in range(4):
            mailbox.put(item)
        self.assertEqual([self.successResultOf(each) for each in early], [0, 1])
        self.assertEqual(self.drained(mailbox), [2, 3])

    def test_cancel(self) -> None:
        """A cancelled getter takes no item."""
        mailbox: Mailbox[int] = Mailbox(10)
        first, second = mailbox.get(), mailbox.get()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        mailbox.put(1)
        self.assertEqual(self.successResultOf(second), 1)

    @given(st.integers(1, 5), st.lists(st.integers(), max_size=20))
    def test_drop_oldest(self, limit: int, items: list[int]) -> None:
        """The newest are kept, and the others counted."""
        mailbox: Mailbox[int] = Mailbox(limit, Overflow.DROP_OLDEST)
        kept = [mailbox.put(item) for item in items]
        self.assertEqual(self.drained(mailbox), items[-limit:])
        self.assertEqual(mailbox.dropped, max(len(items) - limit, 0))
        self.assertEqual(kept, [True] * len(items))

    @given(st.integers(1, 5), st.lists(st.integers(), max_size=20))
    def test_drop_newest(self, limit: int, items: list[int]) -> None:
        """The oldest are kept, and the others counted."""
        mailbox: Mailbox[int] = Mailbox(limit, Overflow.DROP_NEWEST)
        kept = [mailbox.put(item) for item in items]
        self.assertEqual(self.drained(mailbox), items[:limit])
        self.assertEqual(mailbox.dropped, kept.count(False))

    def test_pause(self) -> None:
        """Nothing is dropped; it tells when to stop, once, and when to go on."""
        told: list[str] = []
        mailbox: Mailbox[int] = Mailbox(
            4,
            Overflow.PAUSE,
            on_full=lambda: told.append("full"),
            on_space=lambda: told.append("space"),
        )
        for item in range(6):
            mailbox.put(item)
        self.assertEqual(told, ["full"])
        self.assertEqual(
            [self.successResultOf(mailbox.get()) for _ in "123"], [0, 1, 2]
        )
        self.assertEqual(told, ["full"])
        self.successResultOf(mailbox.get())
        self.assertEqual(told, ["full", "space"])
        self.assertEqual(self.drained(mailbox), [4, 5])
        for item in range(4):
            mailbox.put(item)
        self.assertEqual((told[2:], mailbox.dropped), (["full"], 0))

    def test_end(self) -> None:
        """What waits can be got after the end; nothing is added."""
        mailbox: Mailbox[int] = Mailbox(4)
        mailbox.put(1)
        mailbox.end(ZeroDivisionError())
        mailbox.end(KeyError())
        self.assertFalse(mailbox.put(2))
        self.assertEqual(self.successResultOf(mailbox.get()), 1)
        self.failureResultOf(mailbox.get(), ZeroDivisionError)

    def test_end_waiting(self) -> None:
        """Those who wait are told of the end, also if one cancels another."""
        mailbox: Mailbox[int] = Mailbox(4)
        first, second, third = (mailbox.get() for _ in range(3))
        outcomes: list[Deferred[int]] = [first, third]

        def cancel(_: object) -> None:
            second.cancel()

        first.addBoth(cancel)
        mailbox.end(ZeroDivisionError())
        self.failureResultOf(second, CancelledError)
        self.failureResultOf(third, ZeroDivisionError)
        self.assertIsNone(self.successResultOf(outcomes[0]))

    def test_limit(self) -> None:
        """There is room for one at least."""
        with self.assertRaises(ValueError):
            Mailbox(0)
