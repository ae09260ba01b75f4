# -*- test-case-name: tests.redis.test_hub -*-
"""
Who listens to what: the wishes of many subscriptions, and one connection that
is kept in accord with them.

Theory of operation
===================

A wish comes into being when a subscription asks for a name, and ends when it
gives the name up, whether there is a connection or not.  On every new
connection all wishes are sent, so what was asked for or given up in between is
right by itself.

Each call is one command of its own, answered by an acknowledgement for each of
its names, or by one error.  So a call is never completed by the
acknowledgements of another, and a refusal fails that call alone.

A name is given up towards the server when the last wish for it ends.  As the
server goes by the order of commands, a name that is wished again meanwhile is
listened to in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from weakref import WeakSet

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from sockhost.interfaces import (
    CommandTimeout,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
)
from sockhost.redis.acks import Leaving, send_names, send_separable
from sockhost.redis.connection import RedisConnection
from sockhost.redis.push import PushRouter
from sockhost.redis.resp import Push
from sockhost.redis.routes import Routes
from sockhost.redis.subscription import Mode, Subscription, gather
from sockhost.redis.telling import tell, watch


@define(eq=False)
class _Call:
    """
    A call that waits for its acknowledgements.

    @ivar names: what of it is still wished.
    """

    subscription: Subscription
    mode: Mode
    names: set[bytes]
    done: Deferred[None]


def _nothing(*_: object) -> None:
    """Nobody wants to know."""


@define(eq=False)
class SubscriptionHub:
    """
    Keeps the subscriptions of one connection after the other.

    @ivar on_wish: is called when something is wished, connected or not.
    @ivar on_idle: is called when nothing is wished any more.
    @ivar on_moved: is called with a sharded channel that the server has taken
        away by itself, as it does when its slot moves to another node, and says
        whether it takes care.  Otherwise the channel is asked for again.
    """

    _router: PushRouter
    on_wish: Callable[[], object] = _nothing
    on_idle: Callable[[], object] = _nothing
    on_moved: Callable[[bytes], bool] = field(default=lambda name: False)
    _connection: RedisConnection | None = None
    _wished: dict[Mode, dict[bytes, dict[Subscription, None]]] = field(
        factory=lambda: {mode: {} for mode in Mode}
    )
    # What the server was asked for on this connection.
    _asked: set[tuple[Mode, bytes]] = field(factory=set)
    _leaving: Leaving = field(factory=Leaving)
    _calls: dict[_Call, None] = field(factory=dict)
    _behind: dict[Subscription, None] = field(factory=dict)
    _subscriptions: WeakSet[Subscription] = field(factory=WeakSet)
    _paused: bool = False
    _ended: BaseException | None = None
    _routes: dict[Mode, Routes] = field(factory=dict)

    _log = Logger()

    def __attrs_post_init__(self) -> None:
        self._routes = {mode: Routes(mode) for mode in Mode}
        self._routes[Mode.CHANNEL].by_name = self._router.channels
        for mode, routes in self._routes.items():
            self._router.handle(mode.value.kind.encode(), routes.take)
        own = {Mode.SHARD.value.unsubscribe: self._taken_away}
        for mode in Mode:
            for word in (mode.value.subscribe, mode.value.unsubscribe):
                # Of the others the command in the queue takes note.
                self._router.handle(word, own.get(word, _nothing))

    # -- what is ------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether there is a usable connection."""
        return self._connection is not None and self._connection.open

    @property
    def wishes(self) -> bool:
        """Whether anything is wished."""
        return any(self._wished.values())

    def names(self, subscription: Subscription, mode: Mode) -> list[bytes]:
        """Say what a subscription wishes to listen to."""
        return [name for name, by in self._wished[mode].items() if subscription in by]

    # -- wishes -------------------------------------------------------------

    def enter(self, subscription: Subscription) -> None:
        """Have a subscription end with the others on L{end}."""
        self._subscriptions.add(subscription)
        if self._ended is not None:
            subscription.end(self._ended)

    def subscribe(
        self, subscription: Subscription, mode: Mode, names: Sequence[bytes]
    ) -> Deferred[None]:
        """
        Begin to listen.

        @return: like that of L{Subscription.subscribe}.
        """
        if self._ended is not None:
            return fail(self._ended)
        done: Deferred[None] = Deferred(lambda _: self._withdraw(call))
        call = _Call(subscription, mode, set(names), done)
        for name in names:
            self._wished[mode].setdefault(name, {})[subscription] = None
        self._calls[call] = None
        if self._connection is not None:
            self._send_call(call, self._connection)
        self.on_wish()
        return done

    def unsubscribe(
        self, subscription: Subscription, mode: Mode, names: Sequence[bytes]
    ) -> Deferred[None]:
        """
        Cease to listen.

        @return: like that of L{Subscription.unsubscribe}.
        """
        for call in list(self._calls):
            if call.subscription is subscription and call.mode is mode:
                call.names.difference_update(names)
                if not (call.names or self.connected):
                    self._granted(None, call)
        return self._release(subscription, mode, names)

    def end(self, reason: BaseException) -> None:
        """End all; nothing can be wished before L{reopen} or the next connection."""
        self._ended = reason
        subscriptions = list(self._subscriptions)
        calls, self._calls = self._calls, {}
        for mode in Mode:
            self._wished[mode].clear()
            self._routes[mode].clear()
        self._behind.clear()
        for call in calls:
            call.names.clear()
            if not call.done.called:
                call.done.errback(Failure(reason))
        for subscription in subscriptions:
            subscription.end(reason)

    def _withdraw(self, call: _Call) -> None:
        if call in self._calls:
            del self._calls[call]
            self._give_up(call).addErrback(self._complain)

    def _give_up(self, call: _Call) -> Deferred[None]:
        """Release what a call has wished and nothing else of its listener has."""
        kept = {
            name
            for other in self._calls
            if other.subscription is call.subscription and other.mode is call.mode
            for name in other.names
        }
        routes = self._routes[call.mode]
        names = [
            name
            for name in call.names
            if name not in kept and not routes.has(name, call.subscription)
        ]
        call.names.clear()
        return self._release(call.subscription, call.mode, names)

    def _release(
        self, subscription: Subscription, mode: Mode, names: Iterable[bytes]
    ) -> Deferred[None]:
        wished = self._wished[mode]
        gone = []
        for name in names:
            wishers = wished.get(name, {})
            wishers.pop(subscription, None)
            self._routes[mode].remove(name, subscription)
            if not wishers:
                wished.pop(name, None)
                gone.append(name)
        leaving = self._leave(mode, gone)
        if gone and not self.wishes:
            # What is still to be read is for nobody, and the answer is behind it.
            self.resume()
            leaving.addBoth(self._idle)
        return leaving

    def _idle(self, result: None) -> None:
        if not self.wishes:
            self.on_idle()
        return result

    # -- commands -----------------------------------------------------------

    def _send_call(self, call: _Call, connection: RedisConnection) -> None:
        mode = call.mode
        fresh = {(mode, name) for name in call.names} - self._asked
        self._asked |= fresh
        acknowledged = partial(self._acknowledged, call)
        sent = send_names(connection, mode.value.subscribe, call.names, acknowledged)
        sent.addErrback(self._not_asked, fresh)
        sent.addCallbacks(self._granted, self._refused, (call,), {}, (call, connection))

    def _not_asked(self, failure: Failure, fresh: set[tuple[Mode, bytes]]) -> Failure:
        if failure.check(RedisReplyError):
            # A command that is refused has no effect: there is nothing to undo.
            self._asked -= fresh
        return failure

    def _acknowledged(self, call: _Call, name: bytes) -> None:
        self._asked.add((call.mode, name))
        # Not what was given up since, and is wished anew by a later call.
        if name in call.names:
            self._routes[call.mode].add(name, call.subscription)

    def _granted(self, _: object, call: _Call) -> None:
        if call in self._calls:
            del self._calls[call]
            call.done.callback(None)

    def _refused(
        self, failure: Failure, call: _Call, connection: RedisConnection
    ) -> None:
        refused = failure.check(RedisReplyError, CommandTimeout) or connection.open
        if refused and call in self._calls:
            del self._calls[call]
            self._give_up(call).addErrback(self._complain)
            call.done.errback(failure)
        elif not (refused or call.names):
            # Others are sent again on the next connection, which is safe: this has
            # been given up, so there may be none.
            self._granted(None, call)

    def _leave(self, mode: Mode, names: Iterable[bytes]) -> Deferred[None]:
        """Have the server take away what it was asked for."""
        connection = self._connection
        asked = [(mode, name) for name in names if (mode, name) in self._asked]
        self._asked.difference_update(asked)
        if connection is None or not connection.open or not asked:
            return succeed(None)
        send = self._leaving.send if mode is Mode.SHARD else send_names
        sent = send(connection, mode.value.unsubscribe, [name for _, name in asked])
        done: Deferred[None] = Deferred()
        sent.addCallbacks(
            lambda _: done.callback(None), self._not_left, (), {}, (done, connection)
        )
        return done

    def _not_left(
        self, failure: Failure, done: Deferred[None], connection: RedisConnection
    ) -> None:
        if failure.check(RedisReplyError, CommandTimeout) or connection.open:
            done.errback(failure)
        else:
            # What is not connected is not subscribed.
            done.callback(None)

    def _complain(self, failure: Failure) -> None:
        self._log.failure("the server did not unsubscribe", failure)

    # -- connections --------------------------------------------------------

    def attach(self, connection: RedisConnection) -> None:
        """
        Use a connection until it ends: what is wished is sent before this
        returns.
        """
        if self._connection is not None:
            self._lost(None, self._connection)
        self._ended = None
        self._connection = connection
        connection.when_disconnected().addCallback(self._lost, connection)
        watch(Deferred.fromCoroutine(self._resume(connection)), self._log)
        for call in list(self._calls):
            if call.names:
                self._send_call(call, connection)
            else:
                self._granted(None, call)

    def _lost(self, reason: RedisError | None, connection: RedisConnection) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        self._asked.clear()
        self._leaving.clear()
        self._miss(self._heard(), str(reason or "the connection was replaced"))

    def _miss(self, those: Iterable[Subscription], reason: str) -> None:
        for subscription in those:
            self._behind[subscription] = None
            subscription.lost(reason)

    def _heard(self) -> dict[Subscription, None]:
        return {one: None for some in self._routes.values() for one in some.listeners()}

    async def _resume(self, connection: RedisConnection) -> None:
        refused: dict[bytes, None] = {}
        asking = [
            Deferred.fromCoroutine(self._ask_again(connection, mode, routes.names()))
            for mode, routes in self._routes.items()
        ]
        try:
            for names in await gather(asking):
                refused.update(dict.fromkeys(names))
        except RedisConnectionError:
            # The next connection begins anew.
            return
        if self._connection is connection:
            self._tell_behind(tuple(refused))
            if self._paused:
                connection.pause_reading()

    async def _ask_again(
        self, connection: RedisConnection, mode: Mode, names: list[bytes]
    ) -> list[bytes]:
        self._asked.update((mode, name) for name in names)
        wished = self._wished[mode].__contains__
        return await send_separable(connection, mode.value.subscribe, names, wished)

    def _tell_behind(self, refused: tuple[bytes, ...]) -> None:
        behind, self._behind = self._behind, {}
        for subscription in behind:
            mine = {name for mode in Mode for name in self.names(subscription, mode)}
            if mine:
                refusals = tuple(name for name in refused if name in mine)
                tell(self._log, subscription.resumed, refusals)

    # -- what the server takes away -----------------------------------------

    def _taken_away(self, push: Push) -> None:
        name = push[1] if len(push) == 3 else None
        mode = Mode.SHARD
        if type(name) is not bytes or name in self._leaving:
            return
        self._asked.discard((mode, name))
        if name in self._wished[mode] and not self.on_moved(name):
            self._ask_for_moved(mode, name)

    def _ask_for_moved(self, mode: Mode, name: bytes) -> None:
        if (connection := self._connection) is not None:
            those = self._routes[mode].listeners_to(name)
            self._miss(those, "the server took the channel away")
            watch(Deferred.fromCoroutine(self._resume(connection)), self._log)

    # -- back-pressure ------------------------------------------------------

    def pause(self) -> None:
        """Read nothing from the connection for now."""
        self._paused = True
        if self._connection is not None:
            self._connection.pause_reading()

    def reopen(self) -> None:
        """Have wishes again, after L{end}, for the connection that is to come."""
        self._ended = None

    def resume(self) -> None:
        """Read again."""
        paused, self._paused = self._paused, False
        if paused and self._connection is not None:
            self._connection.resume_reading()
