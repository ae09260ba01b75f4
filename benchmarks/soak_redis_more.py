"""
What else the client of a soak does: it listens, has transactions, and takes
locks.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from sockhost.interfaces import (
    LockTaken,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
)
from sockhost.redis.lock import Lease, Lock

if TYPE_CHECKING:
    from benchmarks.soak_redis import Soak

REFUSALS = {"LOADING", "READONLY", "UNBLOCKED", "MASTERDOWN", "CLUSTERDOWN"}
REFUSALS |= {"MOVED", "ASK", "TRYAGAIN"}
"""What a server says when it has executed nothing."""

CHANNELS = (b"news", b"weather")
LOCKERS = 3


@define
class More:
    """The tasks, beside those of a soak."""

    soak: Soak
    # What each channel has told since the last gap.
    _heard: dict[bytes, set[bytes]] = field(factory=dict)
    # Who is believed to have the lock, and since when, as an epoch.
    _holder: tuple[Lease, int] | None = None
    _last: tuple[int, int] = (0, -1)

    def tasks(self) -> list[Coroutine[Deferred[Any], Any, None]]:
        """All of them."""
        lockers = [self._lock() for _ in range(LOCKERS)]
        return [self._listen(), self._transact(0), self._transact(1), *lockers]

    def _problem(self, text: str) -> None:
        self.soak.outcome.problems.append(text)

    async def _rest(self, most: float) -> None:
        await deferLater(self.soak.reactor, self.soak.chance.random() * most)

    # -- listening ----------------------------------------------------------

    async def _listen(self) -> None:
        """What is heard is of its own channel, and comes once; also at the end."""
        soak = self.soak
        subscription = await soak.client.pubsub.subscribe(
            *CHANNELS, listener=self._hear, on_gap=lambda _: self._heard.clear()
        )
        while soak.running():
            channel = soak.chance.choice(CHANNELS)
            await soak.outcome_of(self._publish(channel, soak.token()))
            await self._rest(0.02)
        for channel in CHANNELS:
            await self._hear_again(channel)
        await subscription.close()

    def _publish(self, channel: bytes, token: bytes) -> Deferred[Any]:
        return self.soak.issue("PUBLISH", channel, channel + b":" + token)

    def _hear(self, channel: bytes, data: bytes) -> None:
        self.soak.outcome.counts["messages heard"] += 1
        name, _, token = data.partition(b":")
        heard = self._heard.setdefault(channel, set())
        if name != channel:
            self._problem(f"{channel!r} has told {data!r}")
        if token in heard:
            self._problem(f"{channel!r} has told {data!r} twice")
        heard.add(token)

    async def _hear_again(self, channel: bytes) -> None:
        for _ in range(100):
            token = self.soak.token()
            await self.soak.outcome_of(self._publish(channel, token))
            await self._rest(0.2)
            if token in self._heard.get(channel, ()):
                return
        self._problem(f"{channel!r} is not heard any more")

    # -- transactions -------------------------------------------------------

    async def _transact(self, worker: int) -> None:
        """Two keys that are counted together are always the same."""
        soak = self.soak
        keys = [f"{{t{worker}}}{name}" for name in "ab"]
        while soak.running():
            transaction = soak.client.transaction()
            for key in keys:
                transaction.incr(key)
            sent = transaction.run(5.0).addErrback(_explained)
            state, replies = await soak.outcome_of(soak.counted(sent))
            if state == "done":
                soak.outcome.counts["transactions"] += 1
                if replies[0] != replies[1]:
                    self._problem(f"a transaction has counted to {replies}")
            await self._rest(0.02)
        found = await soak.certain("MGET", *keys)
        if found is not None and found[0] != found[1]:
            self._problem(f"transactions have counted to {found}")

    # -- locks --------------------------------------------------------------

    async def _lock(self) -> None:
        """While nothing happens to the servers one has it, with its own number."""
        soak = self.soak
        lock: Lock = soak.client.lock("lock", ttl=3.0, wait=2.0)
        while soak.running():
            epoch = soak.servers.epoch
            try:
                lease = await soak.counted(lock.acquire())
            except (LockTaken, RedisConnectionError, CancelledError):
                await self._rest(0.05)
                continue
            except RedisReplyError as error:
                if error.code not in REFUSALS:
                    self._problem(f"the server says {error}")
                await self._rest(0.05)
                continue
            self._entered(lease, epoch)
            await self._rest(0.05)
            await self._leave(lease)
            await self._rest(0.02)

    def _entered(self, lease: Lease, epoch: int) -> None:
        self.soak.outcome.counts["locks taken"] += 1
        quiet = epoch == self.soak.servers.epoch and epoch % 2 == 0
        if quiet and self._holder is not None:
            other, since = self._holder
            if other.held and lease.held and since == epoch:
                self._problem("two have the lock")
        fence, since = self._last
        if quiet and since == epoch and lease.fence <= fence:
            self._problem(f"a lock has the number {lease.fence} after {fence}")
        self._holder = (lease, epoch if quiet else -1)
        self._last = (lease.fence, epoch if quiet else -1)

    async def _leave(self, lease: Lease) -> None:
        try:
            await lease.release()
        except RedisError:
            # It ends by itself.
            self.soak.outcome.counts["locks not released"] += 1


def _explained(failure: Failure) -> Failure:
    # The whole is refused for the reason of a part.
    failure.trap(RedisReplyError)
    words = str(failure.value).split()
    found = REFUSALS.intersection(words)
    if found and words[0] == "EXECABORT":
        return Failure(RedisReplyError(f"{found.pop()} {failure.value}"))
    return failure
