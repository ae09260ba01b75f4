# -*- test-case-name: tests.redis.test_pubsub -*-
"""
Published messages, for the programs that use a client.

With a server that speaks RESP3, subscriptions share the client's connection.
One that speaks RESP2 takes no other commands on a connection that is
subscribed, so there they have one of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from weakref import WeakSet

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from sockhost.interfaces import RedisConnectionError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.hub import SubscriptionHub
from sockhost.redis.mailbox import Overflow
from sockhost.redis.push import PushRouter, pushes_in_arrays
from sockhost.redis.subscription import (
    Gap,
    Listener,
    Message,
    Name,
    Subscription,
)

__all__ = ["Gap", "Message", "Overflow", "PubSub", "Subscription"]

# Seconds between attempts to get a connection of one's own.
RETRY = 0.5


class Owner(Protocol):
    """What of the client is used here."""

    attached: list[Callable[[RedisConnection], object]]

    @property
    def connection(self) -> RedisConnection | None:
        """The connection that all share, or C{None}."""

    def dedicated(self) -> Deferred[RedisConnection]:
        """Get a connection to oneself."""

    def when_connected(self) -> Deferred[None]:
        """Wait for the shared connection."""


@define(eq=False)
class _Attempt:
    """An attempt to connect."""

    work: Deferred[None] | None = None


@define(eq=False)
class OwnConnection:
    """
    Keeps a hub connected by connections of its own, while it has wishes.
    """

    _owner: Owner
    _clock: IReactorTime
    _hub: SubscriptionHub
    _router: PushRouter
    _connection: RedisConnection | None = None
    _since: float = 0.0
    _attempt: _Attempt | None = None

    _log = Logger()

    def want(self, delay: float = 0.0) -> None:
        """
        See to a connection if one is needed.

        @param delay: seconds to wait before.
        """
        if self._connection is None and self._attempt is None and self._hub.wishes:
            attempt = self._attempt = _Attempt()
            attempt.work = Deferred.fromCoroutine(self._connect(attempt, delay))
            attempt.work.addErrback(lambda why: why.trap(CancelledError))

    def stop(self) -> None:
        """End the connection; L{want} makes another."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None and attempt.work is not None:
            attempt.work.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def _connect(self, attempt: _Attempt, delay: float) -> None:
        try:
            connection = await self._get(delay)
        except RedisConnectionError:
            # The client is closed.  It says when it is connected again.
            return
        finally:
            # Cancelling takes its time: meanwhile there may be another.
            current = self._attempt is attempt
            if current:
                self._attempt = None
        if current and self._hub.wishes:
            self._use(connection)
        else:
            connection.abort()

    async def _get(self, delay: float) -> RedisConnection:
        while True:
            if delay:
                await deferLater(self._clock, delay)
            await self._owner.when_connected()
            try:
                return await self._owner.dedicated()
            except CancelledError:
                raise
            except Exception as error:
                # Whatever it is: nobody else would try again.
                self._log.warn("no connection to subscribe: {error}", error=error)
                delay = RETRY

    def _use(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._since = self._clock.seconds()
        self._router.attach(connection)
        if connection.protocol < 3:
            pushes_in_arrays(connection)
        self._hub.attach(connection)
        connection.when_disconnected().addCallback(self._lost, connection)

    def _lost(self, _: object, connection: RedisConnection) -> None:
        if self._connection is connection:
            self._connection = None
            lasted = self._clock.seconds() - self._since
            self.want(0.0 if lasted > RETRY else RETRY)


@define(eq=False)
class PubSub:
    """
    The published messages of a server.  Of each client there is one, C{pubsub}.
    """

    _owner: Owner
    _clock: IReactorTime
    _router: PushRouter
    _hub: SubscriptionHub = field(init=False)
    _own: OwnConnection = field(init=False)
    # Those with a connection of their own, while something is wished of them.
    _private: dict[SubscriptionHub, OwnConnection] = field(factory=dict)
    _hubs: WeakSet[SubscriptionHub] = field(factory=WeakSet)
    _ended: BaseException | None = None

    def __attrs_post_init__(self) -> None:
        self._hub = SubscriptionHub(self._router)
        self._own = OwnConnection(self._owner, self._clock, self._hub, self._router)
        self._owner.attached.append(self._attached)
        connection = self._owner.connection
        if connection is not None and connection.open:
            self._attached(connection)

    def subscribe(
        self,
        *channels: Name,
        listener: Listener | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        max_buffered: int = 1000,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
    ) -> Deferred[Subscription]:
        """
        Listen to channels.  The parameters are those of L{subscription}.

        @return: fires with the subscription when the server has acknowledged
            all channels.  Fails and cancels as L{Subscription.subscribe} does.
        """
        new = self.subscription(listener, on_gap, max_buffered, overflow)
        return self._begin(new, new.subscribe(*channels))

    def psubscribe(
        self,
        *patterns: Name,
        listener: Listener | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        max_buffered: int = 1000,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
    ) -> Deferred[Subscription]:
        """Listen to all channels that match a pattern, like L{subscribe}."""
        new = self.subscription(listener, on_gap, max_buffered, overflow)
        return self._begin(new, new.psubscribe(*patterns))

    def ssubscribe(
        self,
        *channels: Name,
        listener: Listener | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        max_buffered: int = 1000,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
    ) -> Deferred[Subscription]:
        """Listen to sharded channels, like L{subscribe}."""
        new = self.subscription(listener, on_gap, max_buffered, overflow)
        return self._begin(new, new.ssubscribe(*channels))

    def subscription(
        self,
        listener: Listener | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        max_buffered: int = 1000,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
    ) -> Subscription:
        """
        Make a subscription that listens to nothing yet.

        @param listener: is called with the channel and the data of each
            message, and may return a Deferred or be C{async}; what it raises is
            logged.  Without one, messages are for those who iterate.
        @param on_gap: is called with a L{Gap} when messages come again after
            some may have been missed because the connection was lost.
        @param max_buffered: how many messages may wait for the iterator.
        @param overflow: what happens beyond that.  C{"drop-oldest"} and
            C{"drop-newest"} tell of it in the L{Message.gap} of the next.
            C{"pause"} loses none: such a subscription has a connection of its
            own, which is not read while the buffer is full (what one read had
            brought is buffered still).  The server ends it after a while, as
            its C{client-output-buffer-limit pubsub} says.
        """
        kind = Overflow(overflow)
        hub = self._private_hub() if kind is Overflow.PAUSE else self._hub
        return Subscription(hub, listener, on_gap, max_buffered, kind)

    def end(self, reason: BaseException) -> None:
        """End all subscriptions."""
        self._ended = reason
        for hub in [self._hub, *self._hubs]:
            hub.end(reason)
        for own in [self._own, *self._private.values()]:
            own.stop()
        self._private.clear()

    def reopen(self) -> None:
        """Let there be subscriptions again, after L{end}."""
        self._ended = None
        self._hub.reopen()

    def _begin(
        self, new: Subscription, asked: Deferred[None]
    ) -> Deferred[Subscription]:
        return asked.addCallback(lambda _: new)

    def keep_apart(self) -> None:
        """Have a connection of its own in any case: one that may be anywhere."""
        self._hub.on_wish, self._hub.on_idle = self._own.want, self._own.stop

    def _attached(self, connection: RedisConnection) -> None:
        if connection.protocol >= 3:
            self._own.stop()
            self._hub.on_wish = self._hub.on_idle = lambda: None
            self._hub.attach(connection)
        else:
            self._hub.on_wish, self._hub.on_idle = self._own.want, self._own.stop
            self._own.want()
        for own in list(self._private.values()):
            own.want()

    def _private_hub(self) -> SubscriptionHub:
        router = PushRouter()
        hub = SubscriptionHub(router)
        own = OwnConnection(self._owner, self._clock, hub, router)

        def wish() -> None:
            self._private[hub] = own
            own.want()

        def idle() -> None:
            self._private.pop(hub, None)
            own.stop()

        hub.on_wish, hub.on_idle = wish, idle
        self._hubs.add(hub)
        if self._ended is not None:
            hub.end(self._ended)
        return hub
