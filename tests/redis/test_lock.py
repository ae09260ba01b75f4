"""
A lock that many share.
"""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import (
    LockLost,
    LockTaken,
    RedisConnectionError,
    RedisReplyError,
)
from sockhost.redis import RedisClient, connect
from sockhost.redis.cluster_keys import slot_of
from sockhost.redis.lock import Lease, Lock, fence_key
from sockhost.testing.redis import MemoryRedis


class LockTests(SynchronousTestCase):
    """Locks with the real client."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = MemoryRedis(self.clock)
        connecting = connect(self.server.url, self.server.reactor, timeout=30, wait=0.5)
        self.server.pump()
        self.client: RedisClient = self.successResultOf(connecting)
        self.other = self.server.client()

    def tearDown(self) -> None:
        closing = self.client.abort()
        self.server.pump()
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def lock(self, ttl: float = 9.0, wait: float | None = None) -> Lock:
        """Make the lock."""
        return self.client.lock("l", ttl=ttl, wait=wait)

    def take(self, lock: Lock) -> Lease:
        """Take it, which has to succeed at once."""
        taking = lock.acquire()
        self.server.pump()
        return self.successResultOf(taking)

    def release(self, lease: Lease) -> bool:
        """Release it."""
        releasing = lease.release()
        self.server.pump()
        return self.successResultOf(releasing)

    def holder(self) -> Any:
        """The token of whoever has it."""
        return self.successResultOf(self.other.get("l"))

    def test_released(self) -> None:
        """When it is released it is free, and nothing is left running."""
        lease = self.take(self.lock())
        ended = lease.when_lost()
        self.assertTrue(self.release(lease))
        self.assertIsNone(self.successResultOf(ended))
        self.assertIsNone(self.successResultOf(lease.when_lost()))
        self.assertIsNone(self.holder())
        self.assertFalse(self.release(lease))

    def test_fences(self) -> None:
        """Each lease has a number greater than those before."""
        fences = []
        for _ in range(3):
            lease = self.take(self.lock())
            fences.append(lease.fence)
            self.release(lease)
        self.assertEqual(fences, [1, 2, 3])

    def test_fence_key(self) -> None:
        """In a cluster the number is where the lock is."""
        self.assertEqual(fence_key("name"), "{name}:fence")
        self.assertEqual(fence_key("{tag}name"), "{tag}name:fence")

    @given(st.text(alphabet="{}ab", max_size=8))
    @example("a}b")
    @example("a{b")
    @example("{}a")
    @example("{}{a}")
    def test_same_slot(self, name: str) -> None:
        """Whatever braces there are in its name, and it is of this lock alone."""
        key = fence_key(name)
        self.assertEqual(slot_of(key), slot_of(name))
        self.assertTrue(key.endswith(f"{name}:fence") or key == f"{{{name}}}:fence")

    def test_renewed(self) -> None:
        """It is renewed in time, and for as long as it is held."""
        lease = self.take(self.lock(ttl=9))
        self.clock.pump([1.0] * 60)
        self.assertTrue(lease.held)
        self.assertIsNotNone(self.holder())
        self.release(lease)

    def test_holder_gone(self) -> None:
        """If its holder is gone, it is free after its time."""
        lease = self.take(self.lock(ttl=9))
        lease._end(None)
        waiting = self.lock(wait=20).acquire()
        self.clock.pump([0.1] * 85)
        self.assertNoResult(waiting)
        self.clock.pump([0.1] * 15)
        self.release(self.successResultOf(waiting))

    def test_taken(self) -> None:
        """It is waited for as long as may be, and not longer."""
        lease = self.take(self.lock())
        at_once = self.lock(wait=0).acquire()
        waiting = self.lock(wait=2).acquire()
        self.server.pump()
        self.failureResultOf(at_once, LockTaken)
        self.clock.pump([0.1] * 19)
        self.assertNoResult(waiting)
        self.clock.pump([0.1] * 3)
        self.failureResultOf(waiting, LockTaken)
        self.release(lease)

    def test_waits(self) -> None:
        """Who waits gets it soon after it was released."""
        lease = self.take(self.lock())
        waiting = self.lock().acquire()
        self.clock.pump([0.1] * 30)
        self.release(lease)
        self.clock.pump([0.1] * 6)
        self.release(self.successResultOf(waiting))

    def test_stolen(self) -> None:
        """Who finds another holder has lost it, and leaves it to that."""
        lease = self.take(self.lock(ttl=9))
        lost = lease.when_lost()
        self.other.set("l", "thief")
        self.clock.pump([1.0] * 4)
        self.failureResultOf(lost, LockLost)
        self.failureResultOf(lease.when_lost(), LockLost)
        self.assertFalse(self.release(lease))
        self.assertEqual(self.holder(), b"thief")

    def test_server_hangs(self) -> None:
        """If it cannot be renewed, it is lost before anybody else can have it."""
        lease = self.take(self.lock(ttl=9))
        lost = lease.when_lost()
        self.server.suspend()
        self.clock.pump([0.5] * 17)
        self.assertNoResult(lost)
        self.clock.pump([0.5] * 1)
        self.failureResultOf(lost, LockLost)

    def test_renewal_retried(self) -> None:
        """A renewal that fails is tried again while there is time."""
        lease = self.take(self.lock(ttl=9))
        self.server.refusing = True
        self.server.cut()
        self.clock.pump([0.5] * 10)
        self.assertTrue(lease.held)
        self.server.refusing = False
        self.clock.pump([0.5] * 30)
        self.assertTrue(lease.held)
        self.release(lease)

    def test_reply_lost(self) -> None:
        """If it was taken and the reply was lost, it is had all the same."""
        self.take_once()
        self.server.lose_reply()
        taking = self.lock().acquire()
        self.clock.pump([0.1] * 30)
        lease = self.successResultOf(taking)
        self.assertEqual(lease.fence, 2)
        self.release(lease)

    def take_once(self) -> None:
        """Make the server know the scripts."""
        self.release(self.take(self.lock()))

    def test_cancelled(self) -> None:
        """An attempt that is cancelled while it is under way leaves it free."""
        self.take_once()
        self.server.suspend()
        taking = self.lock(ttl=60).acquire()
        self.server.pump()
        taking.cancel()
        self.failureResultOf(taking, CancelledError)
        self.server.resume()
        self.server.pump()
        self.assertIsNone(self.holder())

    def test_cancelled_waiting(self) -> None:
        """Waiting can be given up."""
        lease = self.take(self.lock())
        waiting = self.lock().acquire()
        self.clock.pump([0.1] * 3)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.server.pump()
        self.release(lease)

    def test_client_closed(self) -> None:
        """Who waits for ever does so no longer than the client is open."""
        lease = self.take(self.lock())
        waiting = self.lock().acquire()
        self.clock.pump([0.1] * 3)
        lost = lease.when_lost()
        closing = self.client.close()
        self.server.pump()
        self.successResultOf(closing)
        failure = self.failureResultOf(waiting, RedisConnectionError)
        self.assertEqual(str(failure.value), "the client is closed")
        # A lock that cannot be renewed any more is not certain to be held.
        self.failureResultOf(lost, LockLost)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.failureResultOf(self.lock().acquire(), RedisConnectionError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_client_closed_before(self) -> None:
        """Nor is it held if that is done while it is taken."""
        self.release(self.take(self.lock()))
        taking = self.lock().acquire()
        closing = self.client.close()
        self.server.pump()
        self.successResultOf(closing)
        self.failureResultOf(taking, RedisConnectionError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_client_aborted(self) -> None:
        """The same where it was just being taken."""
        self.take_once()
        self.server.suspend()
        taking = self.lock().acquire()
        self.server.pump()
        self.client.abort()
        self.server.pump()
        self.failureResultOf(taking, RedisConnectionError)

    def test_refused(self) -> None:
        """What the server refuses is not tried again."""
        self.server.answer("EVALSHA", RedisReplyError("NOPERM no scripts"))
        taking = self.lock().acquire()
        self.server.pump()
        self.failureResultOf(taking, RedisReplyError)

    def test_renewal_refused(self) -> None:
        """A lock that may not be renewed ends with its time."""
        lease = self.take(self.lock(ttl=9))
        lost = lease.when_lost()
        for _ in range(20):
            self.server.answer("EVALSHA", RedisReplyError("NOPERM no scripts"))
        self.clock.pump([0.5] * 18)
        self.failureResultOf(lost, LockLost)

    def test_context(self) -> None:
        """A block has it, and releases it also when it fails."""
        inside = []

        async def work() -> None:
            async with self.lock() as lease:
                inside.append(lease.held)
                raise ZeroDivisionError

        working = Deferred.fromCoroutine(work())
        self.server.pump()
        self.failureResultOf(working, ZeroDivisionError)
        self.assertEqual(inside, [True])
        self.assertIsNone(self.holder())

    def test_context_not_released(self) -> None:
        """That the lock cannot be released does not hide what a block fails with."""

        async def work(error: Exception | None) -> None:
            async with self.lock():
                self.server.answer("EVALSHA", RedisReplyError("NOPERM no"))
                if error is not None:
                    raise error

        for error in (ZeroDivisionError(), None):
            working = Deferred.fromCoroutine(work(error))
            self.server.pump()
            expected = ZeroDivisionError if error else RedisReplyError
            self.failureResultOf(working, expected)
            self.other.execute("DEL", "l")
        self.assertEqual(len(self.flushLoggedErrors(RedisReplyError)), 1)

    def test_context_shared(self) -> None:
        """Of those who use one object, each releases what it has, and no other."""
        lock = self.lock()
        ends: dict[str, Deferred[None]] = {"a": Deferred(), "b": Deferred()}
        leases: dict[str, Lease] = {}

        async def work(name: str) -> None:
            async with lock as leases[name]:
                await ends[name]

        first = Deferred.fromCoroutine(work("a"))
        self.server.pump()
        self.other.execute("DEL", "l")
        second = Deferred.fromCoroutine(work("b"))
        self.server.pump()
        ends["a"].callback(None)
        self.server.pump()
        self.successResultOf(first)
        self.assertTrue(leases["b"].held)
        self.assertIsNotNone(self.holder())
        ends["b"].callback(None)
        self.server.pump()
        self.successResultOf(second)
        self.assertIsNone(self.holder())

    def test_context_from_elsewhere(self) -> None:
        """A block may be left from another coroutine than it was entered from."""
        lock = self.lock()
        entering = Deferred.fromCoroutine(lock.__aenter__())
        self.server.pump()
        self.successResultOf(entering)
        leaving = Deferred.fromCoroutine(lock.__aexit__(None, None, None))
        self.server.pump()
        self.successResultOf(leaving)
        self.assertIsNone(self.holder())

    def test_detached(self) -> None:
        """Who does not want to know of the loss any more is not told."""
        lease = self.take(self.lock())
        waiting = lease.when_lost()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.release(lease)
