# -*- test-case-name: tests.redis.test_lock -*-
"""
A lock that many programs share.

Theory of operation
===================

The lock is a key that holds the token of its holder, and that the server lets
go when the holder has not renewed it in time.  No lock of that sort can keep a
holder that was paused from acting when it is not one any more; so each time
that the lock is taken, its holder gets a number greater than all before.  What
is guarded can refuse whoever comes with a number lower than one that it has
seen.

To take the lock twice with the same token is to have it once, so a reply that
was lost is no harm: it is tried again.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from itertools import chain, count
from types import TracebackType
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import (
    LockLost,
    LockTaken,
    RedisConnectionError,
    RedisError,
)
from sockhost.redis.cluster_keys import slot_of
from sockhost.redis.lifetime import Lifetime
from sockhost.redis.resp import Argument
from sockhost.redis.scripts import Script

TAKE = Script(
    """\
local held = redis.call('get', KEYS[1])
if held and held ~= ARGV[1] then return false end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
if held then return tonumber(redis.call('get', KEYS[2])) end
return redis.call('incr', KEYS[2])
"""
)
RENEW = Script(
    """\
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('pexpire', KEYS[1], ARGV[2])
"""
)
RELEASE = Script(
    """\
if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('del', KEYS[1])
"""
)
# The lock is renewed so many times in the time that it lasts.
RENEWALS = 3
# Seconds before it is tried again to take it.
SOONEST = 0.02
LATEST = 0.5


class _Executes(Protocol):
    def execute(self, *args: Argument) -> Deferred[Any]:
        """Send a command."""


@lru_cache(maxsize=256)
def fence_key(name: str) -> str:
    """The key of the counter: in a cluster in the same slot as the lock."""
    slot = slot_of(name)
    # As it is, if it has a tag; or with all of it as the tag, which no brace may
    # be in; or with the first number that fits, about the ten-thousandth.
    usual = [f"{name}:fence"] if "{" in name else []
    numbered = (f"{{{number}}}{name}:fence" for number in count())
    keys = chain(usual, [f"{{{name}}}:fence"], numbered)
    return next(key for key in keys if slot_of(key) == slot)


@define(eq=False)
class Lease:
    """
    A lock while it is held.

    @ivar name: that of the lock.
    @ivar fence: greater than that of any lease of this lock before.
    @ivar held: C{True} until it is released or lost.
    """

    name: str
    fence: int
    _token: str = field(repr=False)
    _redis: _Executes = field(repr=False)
    _clock: IReactorTime = field(repr=False)
    _ttl: float = field(repr=False)
    _client: Lifetime = field(repr=False)
    held: bool = True
    _lost: list[Deferred[None]] = field(factory=list, repr=False)
    _reason: LockLost | None = field(default=None, repr=False)
    _renewing: IDelayedCall | None = field(default=None, repr=False)
    _ending: IDelayedCall | None = field(default=None, repr=False)
    _sent: Deferred[Any] | None = field(default=None, repr=False)
    _closed: Deferred[None] | None = field(default=None, repr=False)

    _log = Logger()

    def when_lost(self) -> Deferred[None]:
        """
        Wait for the loss of the lock.  Cancelling detaches the caller.

        @return: fails with L{LockLost} when the lock is not certain to be held
            any more, also because the client is closed; fires with C{None} when
            it is released.
        """
        if self._reason is not None:
            return Deferred.fromCoroutine(self._fail(self._reason))
        if not self.held:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._lost.remove)
        self._lost.append(waiting)
        return waiting

    def release(self) -> Deferred[bool]:
        """
        Let others have the lock.

        @return: fires with whether it was held until now.  Fails if the server
            cannot be told; the lock then ends by itself.
        """
        held = self.held
        self._end(None)
        return Deferred.fromCoroutine(self._release(held))

    async def _release(self, held: bool) -> bool:
        if not held:
            return False
        return bool(await RELEASE.run(self._redis, [self.name], [self._token]))

    @staticmethod
    async def _fail(reason: LockLost) -> None:
        raise reason

    # -- renewal ------------------------------------------------------------

    def _hold(self, since: float) -> None:
        """It is certain that the lock is held for its time since a moment."""
        left = since + self._ttl - self._clock.seconds()
        if left <= 0:
            self._end(LockLost(f"{self.name}: it took longer than it lasts"))
            return
        if self._ending is None:
            self._ending = self._clock.callLater(left, self._late)
            self._closed = self._client.hold(Deferred())
            self._closed.addErrback(self._client_closed)
            if not self.held:
                # The client was closed while it was taken.
                return
        else:
            self._ending.reset(left)
        wait = self._ttl / RENEWALS
        self._renewing = self._clock.callLater(min(wait, left), self._renew)

    def _renew(self) -> None:
        self._renewing = None
        began = self._clock.seconds()
        args: list[Argument] = [self._token, _milliseconds(self._ttl)]
        self._sent = RENEW.run(self._redis, [self.name], args)
        self._sent.addCallbacks(
            self._renewed, self._unrenewed, callbackArgs=(began,)
        ).addErrback(self._failed)

    def _renewed(self, done: Any, began: float) -> None:
        self._sent = None
        if not self.held:
            return
        if done:
            self._hold(began)
        else:
            self._end(LockLost(f"{self.name}: somebody else has it, or nobody"))

    def _unrenewed(self, failure: Failure) -> None:
        self._sent = None
        if not self.held:
            return
        failure.trap(RedisError)
        # There may be time for another attempt.
        wait = self._ttl / RENEWALS / 4
        self._renewing = self._clock.callLater(wait, self._renew)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("the lock {name} cannot be renewed", failure, name=self.name)
        self._end(LockLost(f"{self.name}: {failure.getErrorMessage()}"))

    def _client_closed(self, failure: Failure) -> None:
        # Cancelled, if this has ended before it.
        failure.trap(RedisConnectionError, CancelledError)
        self._end(LockLost(f"{self.name}: {failure.getErrorMessage()}"))

    def _late(self) -> None:
        self._ending = None
        self._end(LockLost(f"{self.name}: it could not be renewed in time"))

    def _end(self, reason: LockLost | None) -> None:
        if not self.held:
            return
        self.held = False
        self._reason = reason
        calls, self._renewing, self._ending = (self._renewing, self._ending), None, None
        for call in calls:
            if call is not None and call.active():
                call.cancel()
        for waiting in (self._sent, self._closed):
            if waiting is not None:
                waiting.cancel()
        lost, self._lost = self._lost, []
        for each in lost:
            if reason is None:
                each.callback(None)
            else:
                each.errback(reason)


@define(eq=False)
class Lock:
    """
    A lock by name::

        async with client.lock("reports", ttl=30) as lease:
            await store(report, fence=lease.fence)

    The lease is renewed while it is held.  C{async with} does not end the body
    when the lock is lost: see L{Lease.when_lost}.  Many may use the same object
    at a time; each has a lease of its own.

    @ivar name: also that of the key.
    @ivar ttl: seconds after which the lock is free if its holder is gone.
    @ivar wait: seconds that it is waited for, C{None} for ever.
    """

    _redis: _Executes = field(repr=False)
    _clock: IReactorTime = field(repr=False)
    name: str
    ttl: float = 10.0
    wait: float | None = None
    _jitter: Callable[[], float] = field(default=random.random, repr=False)
    _lifetime: Lifetime = field(repr=False)
    _leases: list[Lease] = field(factory=list, repr=False)

    _log = Logger()

    @_lifetime.default
    def _ends_never(self) -> Lifetime:
        return Lifetime(self._clock)

    def acquire(self) -> Deferred[Lease]:
        """
        Take the lock.

        @return: fires with the lease.  Fails with L{LockTaken} if somebody else
            has it for all the time that it may be waited for, and with a
            L{RedisError} if the server refuses it or cannot be reached then,
            or if the client is closed.  Cancelling gives up, and lets the lock
            go if it was being taken.
        """
        return Deferred.fromCoroutine(self._acquire())

    async def __aenter__(self) -> Lease:
        lease = await self.acquire()
        self._leases.append(lease)
        _entered.set((*_entered.get(), lease))
        return lease

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._left().release()
        except RedisError:
            if error is None:
                raise
            # What has ended the body is what matters.
            self._log.failure("the lock {name} was not released", name=self.name)

    def _left(self) -> Lease:
        """Take out the lease that the running coroutine has entered last."""
        entered = _entered.get()
        # One that is left from elsewhere was entered last by somebody.
        mine = [lease for lease in entered if lease in self._leases] or self._leases
        left = mine[-1]
        self._leases.remove(left)
        _entered.set(tuple(lease for lease in entered if lease is not left))
        return left

    async def _acquire(self) -> Lease:
        token = secrets.token_hex(16)
        began = self._clock.seconds()
        try:
            return await self._try_until(token, began)
        except LockTaken:
            raise
        except BaseException:
            # The last attempt may have been executed.
            self._give_up(token)
            raise

    async def _try_until(self, token: str, began: float) -> Lease:
        delay = SOONEST
        while True:
            error, lease = await self._try(token)
            if lease is not None:
                return lease
            waited = self._clock.seconds() - began
            if self.wait is not None and waited >= self.wait:
                raise error or LockTaken(f"{self.name}: somebody else has the lock")
            await self._lifetime.pause(self._pause(delay, waited))
            delay = min(delay * 2, LATEST)

    def _pause(self, delay: float, waited: float) -> float:
        # Those who wait for the same do not come all at once.
        pause = delay * (0.5 + self._jitter() / 2)
        return pause if self.wait is None else min(pause, self.wait - waited)

    async def _try(self, token: str) -> tuple[RedisError | None, Lease | None]:
        keys = [self.name, fence_key(self.name)]
        began = self._clock.seconds()
        try:
            fence = await TAKE.run(self._redis, keys, [token, _milliseconds(self.ttl)])
        except RedisConnectionError as error:
            return error, None
        if fence is None:
            return None, None
        redis, clock, lifetime = self._redis, self._clock, self._lifetime
        lease = Lease(self.name, int(fence), token, redis, clock, self.ttl, lifetime)
        lease._hold(began)
        return None, lease if lease.held else None

    def _give_up(self, token: str) -> None:
        sent = RELEASE.run(self._redis, [self.name], [token])
        # It ends by itself if this does not arrive.
        sent.addErrback(Failure.trap, RedisError)


# What the running coroutine is within: each has a context of its own.
_entered: ContextVar[tuple[Lease, ...]] = ContextVar("entered", default=())


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)
