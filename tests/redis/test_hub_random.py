"""
Tests for L{sockhost.redis.hub}: whatever happens in whatever order, the server
ends up with what is wished, and every call is answered.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import RedisReplyError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.hub import SubscriptionHub
from sockhost.redis.push import PushRouter
from sockhost.redis.subscription import Subscription
from tests.redis.fakes import Wire
from tests.redis.test_hub import push

NAMES = ["a", "b", "c", "forbidden"]
LISTENERS = 3

names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)
listener = st.integers(0, LISTENERS - 1)
steps = st.one_of(
    st.tuples(st.just("subscribe"), listener, names),
    st.tuples(st.just("unsubscribe"), listener, names),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("serve"), st.integers(1, 4)),
    st.tuples(st.just("lose")),
    st.tuples(st.just("connect")),
)


class World:
    """A hub, its listeners, and a server that is as slow as it is told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.router = PushRouter()
        self.hub = SubscriptionHub(self.router)
        self.listeners = [Subscription(self.hub) for _ in range(LISTENERS)]
        self.calls: list[Deferred[Any]] = []
        self.wire: Wire | None = None
        self.connect()

    def connect(self) -> None:
        """Make a connection, if there is none."""
        if self.wire is None:
            connection = RedisConnection(self.clock)
            self.wire = Wire(self.clock, connection)
            self.waiting: list[list[bytes]] = []
            self.subscribed: set[bytes] = set()
            self.router.attach(connection)
            self.hub.attach(connection)

    def lose(self) -> None:
        """Lose the connection, if there is one."""
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.lose()

    def subscribe(self, who: int, what: list[str]) -> None:
        """Ask for names."""
        self.calls.append(self.listeners[who].subscribe(*what))

    def unsubscribe(self, who: int, what: list[str]) -> None:
        """Give names up."""
        self.calls.append(self.listeners[who].unsubscribe(*what))

    def cancel(self, which: int) -> None:
        """Cancel a call, if there are so many."""
        if which < len(self.calls):
            self.calls[which].cancel()

    def serve(self, count: int) -> None:
        """Let the server execute some commands."""
        self.clock.advance(0)
        if self.wire is not None:
            self.waiting += self.wire.sent()
            now, self.waiting = self.waiting[:count], self.waiting[count:]
            for word, *what in now:
                self.wire.send(self.answer(word, what))

    def answer(self, word: bytes, what: list[bytes]) -> bytes:
        """Execute a command."""
        if word == b"unsubscribe":
            self.subscribed.difference_update(what)
        elif b"forbidden" in what:
            return b"-NOPERM no\r\n"
        else:
            self.subscribed.update(what)
        return b"".join(push(word, name, 1) for name in what)

    def settle(self) -> None:
        """Let everything come to rest."""
        self.connect()
        for _ in range(10):
            self.serve(1000)


class RandomTests(SynchronousTestCase):
    """The hub in any order of events."""

    @given(st.lists(steps, max_size=40))
    def test_agreement(self, events: list[tuple[Any, ...]]) -> None:
        """
        When all has come to rest, the server has exactly what is wished, every
        call has fired, and what is published reaches those who wish it.
        """
        world = World()
        for name, *args in events:
            getattr(world, name)(*args)
        world.settle()
        wished = set().union(*(each.channels for each in world.listeners))
        self.assertEqual(world.subscribed, wished)
        self.assertNotIn(b"forbidden", wished)
        outcomes: list[Any] = []
        for call in world.calls:
            self.assertTrue(call.called)
            call.addBoth(outcomes.append)
        failed = [each for each in outcomes if isinstance(each, Failure)]
        for failure in failed:
            failure.trap(RedisReplyError, CancelledError)
        self.check_heard(world)

    def check_heard(self, world: World) -> None:
        """Publish to every name."""
        wire = world.wire
        assert wire is not None
        before = [each.buffered for each in world.listeners]
        for name in sorted(world.subscribed):
            wire.send(push(b"message", name, b"x"))
        for each, old in zip(world.listeners, before, strict=True):
            self.assertEqual(each.buffered - old, len(each.channels))
