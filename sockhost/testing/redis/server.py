# -*- test-case-name: tests.testing.test_redis -*-
"""
A Redis server in memory, for tests.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

from sockhost.interfaces import RedisReplyError
from sockhost.redis.lock import RELEASE, RENEW, TAKE
from sockhost.redis.resp import Push
from sockhost.redis.scripts import Script
from sockhost.testing.redis import hashes, keys, lists, sets, sorted_sets, strings, talk
from sockhost.testing.redis.session import Session
from sockhost.testing.redis.store import Store

if TYPE_CHECKING:
    from sockhost.testing.redis.client import MemoryClient
    from sockhost.testing.redis.wire import MemoryReactor

# Importing them has made their commands known.
COMMAND_MODULES = (hashes, keys, lists, sets, sorted_sets, strings, talk)

#: A script in Python: is given what executes a command, the keys and the
#: arguments, and returns a reply.
PythonScript = Callable[[Callable[..., Any], list[bytes], list[bytes]], Any]


def _take(call: Callable[..., Any], keys_: list[bytes], args: list[bytes]) -> Any:
    name, fence = keys_
    held = call("GET", name)
    if held not in (None, args[0]):
        return None
    call("SET", name, args[0], "PX", args[1])
    return int(call("GET", fence)) if held else call("INCR", fence)


def _renew(call: Callable[..., Any], keys_: list[bytes], args: list[bytes]) -> Any:
    mine = call("GET", keys_[0]) == args[0]
    return call("PEXPIRE", keys_[0], args[1]) if mine else 0


def _release(call: Callable[..., Any], keys_: list[bytes], args: list[bytes]) -> Any:
    return call("DEL", keys_[0]) if call("GET", keys_[0]) == args[0] else 0


@define(eq=False, repr=False)
class MemoryRedis:
    """
    A Redis server without a process and without a network.  It knows strings,
    hashes, lists, sets, sorted sets, expiry, channels, transactions, and what
    else L{COMMANDS<sockhost.testing.redis.table.COMMANDS>} has; scripts have
    to be taught in Python.  Time is that of its clock, from 0.

    Programs that take a client are tested with L{client}, which answers at
    once; what depends on losses and waiting, with the real client::

        server = MemoryRedis(Clock())
        connecting = connect(server.url, server.reactor)
        server.pump()

    @ivar clock: the reactor, or a L{Clock<twisted.internet.task.Clock>}.
    @ivar password: what has to be known, or C{None} for nothing.
    @ivar delay: seconds that each reply over a connection takes.
    @ivar stores: the databases by number.
    @ivar sessions: the connections.
    @ivar received: all commands that were executed, the oldest first.
    @ivar suspended: C{True} while no command is executed.
    @ivar refusing: C{True} while nobody may connect.
    """

    clock: IReactorTime
    password: str | None = None
    delay: float = 0.0
    stores: dict[int, Store] = field(init=False)
    sessions: list[Session] = field(factory=list)
    received: list[list[bytes]] = field(factory=list)
    suspended: bool = False
    refusing: bool = False
    taught: dict[str, PythonScript] = field(factory=dict)
    loaded: set[str] = field(factory=set)
    _answers: dict[str, deque[Any]] = field(factory=lambda: defaultdict(deque))
    _losing: int = 0
    _ids: int = 0
    _changing: bool = False
    _changed: bool = False
    _numbers: int = 0

    url = "unix:///in-memory/redis.sock"

    def __attrs_post_init__(self) -> None:
        self.stores = defaultdict(lambda: Store(self.now))
        for script, function in ((TAKE, _take), (RENEW, _renew), (RELEASE, _release)):
            self.teach(script, function)

    # -- who talks to it ----------------------------------------------------

    def client(self, decode: str | None = None) -> MemoryClient:
        """
        Make a client that is answered at once, without any bytes.

        @param decode: the encoding of replies, or C{None} for bytes.
        """
        from sockhost.testing.redis.client import MemoryClient

        return MemoryClient(self, decode)

    @property
    def reactor(self) -> MemoryReactor:
        """
        What L{connect<sockhost.redis.standalone.connect>} and units can be
        given as their reactor: whatever Unix socket they connect to is this
        server.
        """
        from sockhost.testing.redis.wire import MemoryReactor

        return MemoryReactor(self)

    def open(
        self, push: Callable[[Push], object], hang_up: Callable[[], object]
    ) -> Session:
        """
        Begin a connection.

        @param push: is given what was not asked for.
        @param hang_up: is called when the server ends the connection.
        """
        self._ids += 1
        session = Session(self, push, hang_up, self._ids)
        session.user = self.password is None
        self.sessions.append(session)
        return session

    def close(self, session: Session) -> None:
        """End a connection from the other side."""
        if session in self.sessions:
            self.sessions.remove(session)
            session.end()

    # -- what a test makes it do --------------------------------------------

    def pump(self, turns: int = 100) -> None:
        """
        With a L{Clock<twisted.internet.task.Clock>}: let all bytes arrive that
        are under way, and their answers, without any time passing.
        """
        clock: Any = self.clock
        for _ in range(turns):
            calls = clock.getDelayedCalls()
            if all(call.getTime() > clock.seconds() for call in calls):
                return
            clock.advance(0)

    def answer(self, name: str, *replies: Any) -> None:
        """
        Answer the next commands of a name with these replies, one for each, in
        the place of what they would do.  Also for commands that it does not
        know.

        @param replies: see L{encode_reply
            <sockhost.testing.redis.replies.encode_reply>}; a
            L{RedisReplyError<sockhost.interfaces.RedisReplyError>} for an
            error.
        """
        self._answers[name.upper()].extend(replies)

    def teach(self, script: Script | str | bytes, function: PythonScript) -> None:
        """Have a function run where a script is to be run."""
        self.taught[Script.of(script).digest] = function

    def suspend(self) -> None:
        """Take commands from now on, and execute none: a server that hangs."""
        self.suspended = True

    def resume(self) -> None:
        """Execute all that has been taken since L{suspend}, and go on."""
        self.suspended = False
        for session in list(self.sessions):
            session.go_on()

    def cut(self) -> None:
        """End all connections.  What was taken and not executed is not."""
        for session in list(self.sessions):
            self.close(session)
            session.hang_up()

    def lose_reply(self, count: int = 1) -> None:
        """
        Execute so many commands, and end each one's connection in the place of
        its reply.
        """
        self._losing += count

    def now(self) -> float:
        """The time, in seconds."""
        return self.clock.seconds()

    # -- for its parts ------------------------------------------------------

    def scripted(self, name: str) -> list[Any] | None:
        """Take the reply that was given for a command, in a list."""
        replies = self._answers.get(name)
        return [replies.popleft()] if replies else None

    def loses(self, session: Session) -> bool:
        """Say whether a reply is to be lost, and then end the connection."""
        if not self._losing:
            return False
        self._losing -= 1
        self.close(session)
        session.hang_up()
        return True

    def load_script(self, text: bytes) -> str:
        """Take note of a script, and have its digest."""
        digest = Script.of(text).digest
        if digest not in self.taught:
            raise RedisReplyError(
                "ERR the server in memory cannot run scripts: teach() it this one"
            )
        self.loaded.add(digest)
        return digest

    def changed(self) -> None:
        """A command was executed: those that wait may go on, in their order."""
        self._changed = True
        if self._changing:
            return
        self._changing = True
        try:
            while self._changed:
                self._changed = False
                for session in self._blocked():
                    session.retry()
        finally:
            self._changing = False

    def next_number(self) -> int:
        """Give the next turn to a command that is blocked."""
        self._numbers += 1
        return self._numbers

    def _blocked(self) -> list[Session]:
        waiting = [(each.blocked, each) for each in self.sessions]
        numbered = [(number, each) for number, each in waiting if number is not None]
        return [each for _, each in sorted(numbered, key=itemgetter(0))]
