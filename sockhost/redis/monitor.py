# -*- test-case-name: tests.redis.test_monitor -*-
"""
Every command that a server executes, as it tells those who ask with C{MONITOR}.

Monitoring is a state of a connection.  It is entered when the server has
answered C{MONITOR}, not before: replies to what was sent earlier come first.
From then on lines come in between the replies, and are told from them by their
form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from sockhost.interfaces import RedisConnectionError, RedisError, RedisProtocolError
from sockhost.redis.connection import RedisConnection
from sockhost.redis.mailbox import Mailbox, Overflow
from sockhost.redis.telling import tell

_LINE = re.compile(rb'(\d+\.\d+) \[(\d+) (.*?)\]((?: "(?:[^"\\]|\\.)*")+)\Z', re.DOTALL)
_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


@frozen
class MonitoredCommand:
    """
    A command that the server was given.

    @ivar time: seconds since the epoch, by the server's clock.
    @ivar db: the number of the database.
    @ivar address: of the client, C{"host:port"} or C{"unix:path"}, or C{"lua"}
        for a command that a script gave.
    @ivar args: the command, as the server shows it: it hides passwords.
    @ivar node: in a cluster, C{"host:port"} of the node that was given it.
    """

    time: float
    db: int
    address: str
    args: tuple[bytes, ...]
    node: str = ""


MonitorListener = Callable[[MonitoredCommand], object]


def parse_line(line: bytes, node: str = "") -> MonitoredCommand:
    """
    Read a line of C{MONITOR}.

    @param node: who said it.
    @raise RedisProtocolError: it is none.
    """
    match = _LINE.match(line)
    if match is None:
        raise RedisProtocolError(f"no line of MONITOR: {line[:80]!r}")
    time, db, address, rest = match.groups()
    args = tuple(_ESCAPE.sub(_unescape, arg) for arg in _ARGUMENT.findall(rest))
    return MonitoredCommand(
        float(time), int(db), address.decode("utf-8", "replace"), args, node
    )


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) == 3:
        return bytes([int(code[1:], 16)])
    return _ESCAPED.get(code, code)


def start_monitoring(
    connection: RedisConnection, listener: Callable[[bytes], object]
) -> Deferred[None]:
    """
    Have a connection, which nobody shares, enter the state.  From then on a
    reply that has the form of a line is taken for one: the server does not tell
    them from each other, and has few commands that give such a reply.

    @param listener: is called with each line.
    @return: fires when the server has said that it has.
    """

    def intercept(message: Any) -> bool:
        if type(message) is not bytes or _LINE.match(message) is None:
            return False
        listener(message)
        return True

    def entered(_: object) -> None:
        connection.on_message = intercept

    return connection.execute("MONITOR").addCallback(entered)


def stop_monitoring(connection: RedisConnection) -> Deferred[None]:
    """
    Have a connection leave the state, by C{RESET}, which servers know since
    Redis 6.2.  It is what it was before it was greeted then, and is not to be
    given back.

    @return: fires when the server has said that it has left.
    """

    def left(_: object) -> None:
        connection.on_message = None
        connection.protocol = 2

    return connection.execute("RESET").addCallback(left)


class Monitor:
    """
    The commands that a server is given, or all nodes of a cluster, for a
    callback or for who iterates.  Each has connections of its own, whose pings
    are among the commands.

    When a connection is lost, the monitor is at its end, and says so: what was
    executed meanwhile is not known, and to go on would hide that.
    """

    _log = Logger()

    def __init__(
        self,
        listener: MonitorListener | None,
        max_buffered: int,
        overflow: Overflow,
    ) -> None:
        pauses = overflow is Overflow.PAUSE
        self._connections: list[RedisConnection] = []
        self._listener = listener
        self._closed = False
        self._over = False
        self._reason: RedisConnectionError | None = None
        self._ends: list[Deferred[RedisConnectionError | None]] = []
        self._mailbox: Mailbox[MonitoredCommand] = Mailbox(
            max_buffered, overflow, *((self._pause, self._resume) if pauses else ())
        )

    @property
    def dropped(self) -> int:
        """How many commands were dropped because they were not read in time."""
        return self._mailbox.dropped

    def __aiter__(self) -> Monitor:
        return self

    def __anext__(self) -> Deferred[MonitoredCommand]:
        return self.next()

    def next(self) -> Deferred[MonitoredCommand]:
        """
        Take the next command, where there is no callback.

        @return: after the end, fails with C{StopAsyncIteration} if it was
            closed, and with L{RedisConnectionError
            <sockhost.interfaces.RedisConnectionError>} if a connection was
            lost.  Cancelling loses nothing.
        """
        return self._mailbox.get()

    def when_ended(self) -> Deferred[RedisConnectionError | None]:
        """
        Wait for the end: for those who have a callback.

        @return: fires with why a connection was lost, or with C{None} after
            L{close}.  Never fails, but by being cancelled.
        """
        if self._over:
            return succeed(self._reason)
        waiting: Deferred[RedisConnectionError | None] = Deferred(self._ends.remove)
        self._ends.append(waiting)
        return waiting

    def close(self) -> Deferred[None]:
        """
        End it.  What was received before can still be read.

        @return: fires when its connections are gone.
        """
        self._closed = True
        self._mailbox.end(StopAsyncIteration())
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        for each in self._connections:
            each.abort()
        for each in self._connections:
            await each.when_disconnected()

    def add(self, connection: RedisConnection, node: str = "") -> Deferred[None]:
        """
        Listen to a connection, which nobody shares, too.

        @param node: whose it is.
        @return: fires when the server has said that it tells.
        """
        self._connections.append(connection)
        connection.when_disconnected().addCallback(self._ended)
        if self._over:
            # Another was lost while this one was made.
            connection.abort(self._reason)
        return start_monitoring(connection, partial(self._take, node))

    def abort(self) -> None:
        """End all connections."""
        for each in self._connections:
            each.abort()

    def _take(self, node: str, line: bytes) -> None:
        command = parse_line(line, node)
        if self._closed:
            return
        if self._listener is None:
            self._mailbox.put(command)
        else:
            tell(self._log, self._listener, command)

    def _pause(self) -> None:
        for each in self._connections:
            each.pause_reading()

    def _resume(self) -> None:
        for each in self._connections:
            each.resume_reading()

    def _ended(self, reason: RedisError | None) -> None:
        if self._over:
            return
        self._over = True
        error = RedisConnectionError(str(reason or "closed"))
        self._mailbox.end(error)
        self._reason = None if self._closed else error
        # One without the others would be believed to be all.
        self.abort()
        ends, self._ends = self._ends, []
        for each in ends:
            if not each.called:
                each.callback(self._reason)


async def monitor(
    borrows: Mapping[str, Callable[[], Deferred[RedisConnection]]],
    listener: MonitorListener | None,
    max_buffered: int,
    overflow: Overflow,
) -> Monitor:
    """
    Begin to monitor, on connections of its own.

    @param borrows: gives the connection, for each node.
    """
    new = Monitor(listener, max_buffered, overflow)
    try:
        for node, borrow in borrows.items():
            await new.add(await borrow(), node)
    except BaseException:
        new.abort()
        raise
    return new
