# -*- test-case-name: tests.redis.test_cluster_shards -*-
"""
Sharded channels of a cluster: each is heard at a node of its slot, and at
another when the slot moves or the node is lost.

Theory of operation
===================

A sharded channel that somebody listens to is at one place: a subscription of
its own with the hub of one node.  That place is lost when the connection is, or
when the server takes the channel away because the slot is elsewhere now, or
when it answers that it never had it.  Each time another place is sought, by the
slot map and by what the nodes say, until there is one; everybody who listens is
told of the gap then.  So moving needs no state of its own: it is a loss, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    TimeoutError,  # noqa: A004
    succeed,
)
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import RedisConnectionError, RedisError, RedisReplyError
from sockhost.redis.cluster_keys import slot_of
from sockhost.redis.cluster_nodes import Node, Nodes
from sockhost.redis.cluster_routing import NOT_EXECUTED
from sockhost.redis.hub import SubscriptionHub
from sockhost.redis.routes import Routes
from sockhost.redis.subscription import Mode, Subscription
from sockhost.redis.telling import tell
from sockhost.redis.url import Address

# Seconds before another place is sought, at first and at most; and before a
# channel that was refused is asked for again.
FIRST = 0.02
MOST = 0.5
REFUSED = 5.0
# Seconds that one node may take to answer; and before it is seen whether it is
# still the right one to connect to, which may take longer.
PATIENCE = 1.0
# A place that has lasted so long is no reason to hesitate.
LASTING = 1.0


class _Place(Subscription):
    """A channel at one node."""

    def __init__(
        self,
        hub: SubscriptionHub,
        heard: Callable[[bytes, Any], object],
        ended: Callable[[_Place, str], object],
    ) -> None:
        self._ended = ended
        super().__init__(hub, heard)

    def lost(self, reason: str) -> None:
        """The node is lost, or the channel was taken away."""
        self._ended(self, reason)


@define(eq=False)
class Shard:
    """
    One sharded channel.

    @ivar listeners: who wishes it.
    """

    name: bytes
    _nodes: Nodes
    _clock: IReactorTime
    _hub_of: Callable[[Node], SubscriptionHub]
    listeners: dict[Subscription, None] = field(factory=dict)
    _routes: Routes = field(factory=lambda: Routes(Mode.SHARD))
    # Who waits to listen for the first time, and who has missed something.
    _calls: dict[Deferred[None], Subscription] = field(factory=dict)
    _behind: dict[Subscription, None] = field(factory=dict)
    _place: _Place | None = None
    _placed_at: float | None = None
    _told: Node | None = None
    _asked: Address = ("", 0)
    _delay: float = 0.0
    _work: Deferred[None] | None = None

    _log = Logger()

    @property
    def placed(self) -> bool:
        """Whether it is listened to."""
        return self._placed_at is not None

    def enter(self, subscription: Subscription) -> Deferred[None]:
        """
        Have somebody listen.

        @return: fires when it is heard.  Fails with L{RedisReplyError} if the
            server refuses.  Cancelling gives up the wait, not the wish.
        """
        self.listeners[subscription] = None
        self._routes.add(self.name, subscription)
        if self.placed:
            return succeed(None)
        done: Deferred[None] = Deferred(self._forget)
        self._calls[done] = subscription
        self.seek()
        return done

    def _forget(self, call: Deferred[None]) -> None:
        self._calls.pop(call, None)

    def leave(self, subscription: Subscription) -> Deferred[None]:
        """Have somebody listen no more."""
        self.listeners.pop(subscription, None)
        self._behind.pop(subscription, None)
        self._routes.remove(self.name, subscription)
        mine = [call for call, who in self._calls.items() if who is subscription]
        for call in mine:
            del self._calls[call]
            call.callback(None)
        return succeed(None) if self.listeners else self.rest()

    def rest(self) -> Deferred[None]:
        """
        Be nowhere, until L{seek}.

        @return: fires when the server has acknowledged it.
        """
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
        return self._leave_place()

    def end(self, reason: BaseException) -> None:
        """Be done."""
        self.rest().addErrback(self._complain)
        calls, self._calls = self._calls, {}
        for call in calls:
            if not call.called:
                call.errback(Failure(reason))

    # -- places -------------------------------------------------------------

    def seek(self) -> None:
        """Find a place, unless that is being done or there is one."""
        if self._work is None and self._place is None and self.listeners:
            work = self._work = Deferred.fromCoroutine(self._seek())
            work.addErrback(Failure.trap, CancelledError)
            work.addErrback(self._complain)

    def lose(self, reason: str) -> None:
        """Be there no more, and seek another place."""
        if self._placed_at is None:
            return
        lasted = self._clock.seconds() - self._placed_at
        self._delay = 0.0 if lasted >= LASTING else self._longer()
        for each in self.listeners:
            self._behind[each] = None
            each.lost(reason)
        self._leave_place().addErrback(self._complain)
        self.seek()

    def _place_lost(self, place: _Place, reason: str) -> None:
        if place is self._place:
            # Before that, who seeks finds out.
            self.lose(reason)

    def _leave_place(self) -> Deferred[None]:
        place, self._place, self._placed_at = self._place, None, None
        if place is None:
            return succeed(None)
        return place.sunsubscribe().addErrback(_trap_moved)

    def _longer(self) -> float:
        return min(max(self._delay * 2, FIRST), MOST)

    async def _seek(self) -> None:
        while True:
            await deferLater(self._clock, self._delay)
            mine, self._delay = self._work, self._longer()
            if await self._try():
                break
            if self._work is not mine:
                # Who was told of a refusal has given up.
                return
        self._work = None
        self._granted()

    async def _try(self) -> bool:
        try:
            try:
                await self._settle()
            except RedisReplyError as error:
                await self._refused(error)
            else:
                return True
        except (RedisConnectionError, TimeoutError):
            await self._look_around()
        return False

    async def _settle(self) -> None:
        told, self._told = self._told, None
        node = told or self._nodes.for_slot(slot_of(self.name))
        self._asked = node.address
        hub = self._hub_of(node)
        place = _Place(hub, self._heard, self._place_lost)
        self._place = place
        try:
            await self._wait_at(node, hub, place.ssubscribe(self.name))
        except BaseException:
            self._leave_place().addErrback(self._complain)
            raise
        if self._place is not place:
            raise RedisConnectionError("the place was left")
        self._placed_at = self._clock.seconds()

    async def _wait_at(
        self, node: Node, hub: SubscriptionHub, asked: Deferred[None]
    ) -> None:
        connected = hub.connected
        try:
            while not await self._answered(asked):
                if connected or not await self._is_still_at(node):
                    raise RedisConnectionError("the node does not answer")
                connected = hub.connected
        except BaseException:
            asked.addErrback(lambda _: None)
            asked.cancel()
            raise

    async def _answered(self, asked: Deferred[None]) -> bool:
        # What is asked goes on: to give it up ends the attempt to connect.
        answered: Deferred[None] = Deferred()
        asked.addBoth(_hand_on, answered)
        try:
            await answered.addTimeout(PATIENCE, self._clock)
        except TimeoutError:
            return False
        return True

    async def _is_still_at(self, node: Node) -> bool:
        await self._look_around()
        return self._nodes.for_slot(slot_of(self.name)) is node

    async def _refused(self, error: RedisReplyError) -> None:
        if error.code == "MOVED":
            address = self._nodes.redirected(error, self._asked)
            self._told = self._nodes.at(address)
        elif error.code in NOT_EXECUTED:
            await self._look_around()
        else:
            self._delay = REFUSED
            self._refuse(error)

    def _refuse(self, error: RedisReplyError) -> None:
        calls, self._calls = self._calls, {}
        for call in calls:
            if not call.called:
                call.errback(error)
        self._tell_behind((self.name,))

    async def _look_around(self) -> None:
        try:
            await self._nodes.refresh().addTimeout(PATIENCE, self._clock)
        except (RedisError, TimeoutError):
            # The next attempt says what is wrong, or comes too early too.
            return

    # -- what comes of it ---------------------------------------------------

    def _granted(self) -> None:
        calls, self._calls = self._calls, {}
        self._tell_behind(())
        for call in calls:
            if not call.called:
                call.callback(None)

    def _tell_behind(self, refused: tuple[bytes, ...]) -> None:
        behind, self._behind = self._behind, {}
        for each in behind:
            tell(self._log, each.resumed, refused)

    def _heard(self, channel: bytes, data: Any) -> None:
        sink = self._routes.by_name.get(self.name)
        if sink is not None:
            tell(self._log, sink, channel, data)

    def _complain(self, failure: Failure) -> None:
        if not failure.check(RedisError):
            self._log.failure("a sharded channel cannot be heard", failure)


def _hand_on(result: Any, waiting: Deferred[None]) -> Any:
    if waiting.called:
        return result
    waiting.callback(result)
    return None


def _trap_moved(failure: Failure) -> None:
    # What has moved away is not subscribed to there.
    failure.trap(RedisReplyError)
    if failure.value.code != "MOVED":  # type: ignore[union-attr]
        failure.raiseException()
