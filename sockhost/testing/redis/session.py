# -*- test-case-name: tests.testing.test_redis -*-
"""
One connection, as the server in memory sees it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall

from sockhost.interfaces import RedisReplyError
from sockhost.redis.resp import Push
from sockhost.testing.redis.lists import Blocked
from sockhost.testing.redis.table import (
    COMMANDS,
    OK,
    Call,
    Status,
    integer,
    wrong_number,
)

if TYPE_CHECKING:
    from sockhost.testing.redis.server import MemoryRedis
    from sockhost.testing.redis.store import Store

Answer = Callable[[Any], object]

#: What is answered by pushes alone.
NO_REPLY = object()

# What is not kept for EXEC, and what a subscriber may say in RESP2.
_NOT_QUEUED = frozenset({"EXEC", "DISCARD", "MULTI", "WATCH", "RESET", "QUIT"})
_SUBSCRIBER = frozenset(
    {
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "PSUBSCRIBE",
        "PUNSUBSCRIBE",
        "SSUBSCRIBE",
        "SUNSUBSCRIBE",
        "PING",
        "QUIT",
        "RESET",
    }
)


@define(eq=False)
class _Wait:
    """A command that is blocked."""

    args: list[bytes]
    answer: Answer
    number: int
    late: IDelayedCall | None = None


@define(eq=False, repr=False)
class Session:
    """
    A connection's state, and the commands that it has sent.

    @ivar push: is given what is sent without having been asked for.
    @ivar hang_up: ends the connection.
    @ivar id: what C{CLIENT ID} says.
    @ivar protocol: 2 or 3.
    @ivar db: the number of the database.
    @ivar name: what C{CLIENT SETNAME} said.
    @ivar user: C{False} while it has to authenticate.
    @ivar subscribed: the names that it listens to, by the kind of message.
    """

    server: MemoryRedis
    push: Callable[[Push], object]
    hang_up: Callable[[], object]
    id: int
    protocol: int = 2
    db: int = 0
    name: bytes | None = None
    user: bool = True
    subscribed: dict[str, dict[bytes, None]] = field(
        factory=lambda: {"": {}, "p": {}, "s": {}}
    )
    _ended: bool = False
    _todo: deque[tuple[list[bytes], Answer]] = field(factory=deque)
    _wait: _Wait | None = None
    _queue: list[list[bytes]] | None = None
    _spoilt: bool = False
    _watched: dict[tuple[int, bytes], int] = field(factory=dict)

    @property
    def store(self) -> Store:
        """The database that is selected."""
        return self.server.stores[self.db]

    @property
    def listens(self) -> bool:
        """C{True} if it is subscribed to anything."""
        return any(self.subscribed.values())

    @property
    def blocked(self) -> int | None:
        """The number of the command that is blocked, if one is."""
        return None if self._wait is None else self._wait.number

    def take(self, args: list[bytes], answer: Answer) -> None:
        """
        Take a command.  What comes when the connection has ended is dropped.

        @param answer: is given the reply, in the order of the commands.
        """
        if not self._ended:
            self._todo.append((args, answer))
            self.go_on()

    def go_on(self) -> None:
        """Execute what has been taken, as far as that can be done now."""
        while self._todo and self._wait is None and not self.server.suspended:
            args, answer = self._todo.popleft()
            self._do(args, answer)

    def end(self) -> None:
        """The connection has ended: what was not executed is not."""
        self._ended = True
        self._todo.clear()
        self._stop_waiting()

    def _do(self, args: list[bytes], answer: Answer) -> None:
        self.server.received.append(args)
        try:
            reply = self.execute(args)
        except Blocked as blocked:
            self._wait = _Wait(args, answer, self.server.next_number())
            if blocked.timeout:
                self._wait.late = self.server.clock.callLater(
                    blocked.timeout, self._give_up
                )
            return
        if reply is not NO_REPLY:
            answer(reply)
        self.server.changed()

    # -- blocking -----------------------------------------------------------

    def retry(self) -> None:
        """Something has changed: what is blocked may not be any more."""
        wait = self._wait
        if wait is None:
            return
        try:
            reply = self.execute(wait.args)
        except Blocked:
            return
        self._stop_waiting()
        wait.answer(reply)
        self.go_on()

    def _give_up(self) -> None:
        wait = self._wait
        self._stop_waiting()
        if wait is not None:
            wait.answer(None)
        self.go_on()

    def _stop_waiting(self) -> None:
        wait, self._wait = self._wait, None
        if wait is not None and wait.late is not None and wait.late.active():
            wait.late.cancel()

    # -- one command --------------------------------------------------------

    def execute(self, args: list[bytes]) -> Any:
        """
        Execute a command.

        @return: the reply; an error is a value.
        @raise Blocked: not now.
        """
        name = args[0].decode("ascii", "replace").upper()
        try:
            return self._execute(name, args)
        except RedisReplyError as error:
            if self._queue is not None:
                self._spoilt = True
            return error

    def _execute(self, name: str, args: list[bytes]) -> Any:
        scripted = self.server.scripted(name)
        if scripted is not None:
            return scripted[0]
        call = self._checked(name, args)
        if self._queue is not None and name not in _NOT_QUEUED:
            self._queue.append(args)
            return Status(b"QUEUED")
        return COMMANDS[name].body(call)

    def _checked(self, name: str, args: list[bytes]) -> Call:
        known = COMMANDS.get(name)
        if known is None:
            shown = args[0].decode("utf-8", "replace")
            raise RedisReplyError(f"ERR unknown command '{shown}'")
        count = len(args) - 1
        if count < known.least or (known.most is not None and count > known.most):
            raise wrong_number(name)
        if not self.user and name not in ("HELLO", "AUTH", "QUIT", "RESET"):
            raise RedisReplyError("NOAUTH Authentication required.")
        if self.protocol == 2 and self.listens and name not in _SUBSCRIBER:
            raise RedisReplyError(f"ERR Can't execute '{name.lower()}' in this context")
        for place in known.numbers:
            if self._queue is None and place < count:
                integer(args[1 + place])
        return Call(name, args[1:], self)

    # -- transactions -------------------------------------------------------

    def multi(self) -> Any:
        """Begin to keep commands."""
        if self._queue is not None:
            raise RedisReplyError("ERR MULTI calls can not be nested")
        self._queue = []
        return OK

    def exec(self) -> Any:
        """Execute what was kept."""
        queue, spoilt = self._queue, self._spoilt
        if queue is None:
            raise RedisReplyError("ERR EXEC without MULTI")
        stale = self._is_stale()
        self.discard()
        if spoilt:
            raise RedisReplyError(
                "EXECABORT Transaction discarded because of previous errors."
            )
        return None if stale else [self._now(args) for args in queue]

    def _now(self, args: list[bytes]) -> Any:
        try:
            return self.execute(args)
        except Blocked:
            return None

    def discard(self) -> None:
        """Forget what was kept, and what is watched."""
        self._queue = None
        self._spoilt = False
        self._watched.clear()

    @property
    def in_transaction(self) -> bool:
        """C{True} between C{MULTI} and C{EXEC}."""
        return self._queue is not None

    def watch(self, key: bytes) -> None:
        """Remember how a key is."""
        self._watched.setdefault((self.db, key), self._version(self.db, key))

    def unwatch(self) -> None:
        """Watch nothing."""
        self._watched.clear()

    def _is_stale(self) -> bool:
        return any(
            self._version(db, key) != version
            for (db, key), version in self._watched.items()
        )

    def _version(self, db: int, key: bytes) -> int:
        store = self.server.stores[db]
        # Looking at it lets it go if its time has come.
        store.value(key)
        return store.versions.get(key, 0)

    def reset(self) -> None:
        """Be as at the beginning."""
        self.discard()
        for names in self.subscribed.values():
            names.clear()
        self.db, self.protocol, self.name = 0, 2, None
        self.user = self.server.password is None
