"""
Tests for L{sockhost.sockets.answers}.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from sockhost.sockets.answers import cancel, invoke, settle

setting: ContextVar[str] = ContextVar("setting", default="outside")


class SettleTests(SynchronousTestCase):
    """Tests for L{settle}."""

    def test_plain(self) -> None:
        """What need not be waited for is itself."""
        self.assertEqual(settle(b"x"), b"x")
        self.assertIsNone(settle(None))

    def test_deferred(self) -> None:
        """A Deferred is itself."""
        waited: Deferred[None] = Deferred()
        self.assertIs(settle(waited), waited)

    def test_coroutine_without_wait(self) -> None:
        """A coroutine that does not wait gives its value, without a Deferred."""

        async def work() -> bytes:
            return await succeed(b"x")

        self.assertEqual(settle(work()), b"x")

    def test_coroutine_raises(self) -> None:
        """A coroutine that raises before it waits raises."""

        async def work() -> bytes:
            raise ValueError("no")

        self.assertRaises(ValueError, settle, work())

    def test_coroutine_waits(self) -> None:
        """A coroutine that waits goes on with each result, in order."""
        first: Deferred[int] = Deferred()
        second: Deferred[int] = Deferred()

        async def work() -> int:
            return await first * 10 + await second

        result = settle(work())
        assert isinstance(result, Deferred)
        second.callback(2)
        self.assertNoResult(result)
        first.callback(1)
        self.assertEqual(self.successResultOf(result), 12)

    def test_failure_is_thrown_in(self) -> None:
        """A coroutine can catch the failure that it waited for, and go on."""
        first: Deferred[None] = Deferred()
        second: Deferred[str] = Deferred()

        async def work() -> str:
            try:
                await first
            except ValueError as error:
                return f"{error} {await second}"
            return "not reached"

        result = settle(work())
        assert isinstance(result, Deferred)
        first.errback(ValueError("caught"))
        second.callback("late")
        self.assertEqual(self.successResultOf(result), "caught late")

    def test_fails_later(self) -> None:
        """What a coroutine raises after a wait fails the Deferred."""
        first: Deferred[None] = Deferred()

        async def work() -> None:
            await first
            raise ValueError("no")

        result = settle(work())
        assert isinstance(result, Deferred)
        first.callback(None)
        self.failureResultOf(result, ValueError)

    def test_cancel(self) -> None:
        """Cancelling reaches what the coroutine waits for."""
        cancelled: list[Deferred[Any]] = []
        first: Deferred[None] = Deferred(cancelled.append)

        async def work() -> None:
            await first

        result = settle(work())
        assert isinstance(result, Deferred)
        result.cancel()
        self.assertEqual(cancelled, [first])
        self.failureResultOf(result, CancelledError)

    def test_context(self) -> None:
        """A context variable that a coroutine sets is its own, across waits."""
        first: Deferred[None] = Deferred()

        async def work() -> str:
            setting.set("inside")
            await first
            return setting.get()

        result = settle(work())
        assert isinstance(result, Deferred)
        self.assertEqual(setting.get(), "outside")
        first.callback(None)
        self.assertEqual(self.successResultOf(result), "inside")
        self.assertEqual(setting.get(), "outside")


class InvokeTests(SynchronousTestCase):
    """Tests for L{invoke}."""

    def test_plain(self) -> None:
        """A plain value fires the Deferred."""
        self.assertEqual(self.successResultOf(invoke(lambda n: n + 1, 1)), 2)

    def test_raises(self) -> None:
        """An exception fails the Deferred."""
        self.failureResultOf(invoke(int, "x"), ValueError)

    def test_deferred(self) -> None:
        """A Deferred is waited for."""
        waited: Deferred[int] = Deferred()
        result = invoke(lambda: waited)
        self.assertNoResult(result)
        waited.callback(3)
        self.assertEqual(self.successResultOf(result), 3)


def fail(_: object) -> None:
    """Cancel badly."""
    raise ValueError("canceller")


class CancelTests(SynchronousTestCase):
    """Tests for L{cancel}."""

    def test_cancelled(self) -> None:
        """What waits is cancelled, and what does not stays as it is."""
        work: Deferred[bytes] = Deferred()
        cancel(work)
        self.failureResultOf(work, CancelledError)
        done = succeed(b"x")
        cancel(done)
        self.assertEqual(self.successResultOf(done), b"x")

    def test_canceller_raises(self) -> None:
        """What a canceller raises is what its Deferred fails with."""
        work: Deferred[bytes] = Deferred(fail)
        cancel(work)
        self.failureResultOf(work, ValueError)

    def test_chained(self) -> None:
        """So it is where it belongs to one that the Deferred waits for."""
        inner: Deferred[bytes] = Deferred(fail)
        work = succeed(b"x").addCallback(lambda _: inner)
        cancel(work)
        self.failureResultOf(work, ValueError)

    def test_fires_and_raises(self) -> None:
        """If it had fired the Deferred before, that stays, and it is logged."""

        def both(work: Deferred[bytes]) -> None:
            work.callback(b"x")
            raise ValueError("canceller")

        work: Deferred[bytes] = Deferred(both)
        cancel(work)
        self.assertEqual(self.successResultOf(work), b"x")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
