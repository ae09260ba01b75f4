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
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
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
    """

    time: float
    db: int
    address: str
    args: tuple[bytes, ...]


MonitorListener = Callable[[MonitoredCommand], object]


def parse_line(line: bytes) -> MonitoredCommand:
    """
    Read a line of C{MONITOR}.

    @raise RedisProtocolError: it is none.
    """
    match = _LINE.match(line)
    if match is None:
        raise RedisProtocolError(f"no line of MONITOR: {line[:80]!r}")
    time, db, address, rest = match.groups()
    args = tuple(_ESCAPE.sub(_unescape, arg) for arg in _ARGUMENT.findall(rest))
    return MonitoredCommand(
        float(time), int(db), address.decode("utf-8", "replace"), args
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
    Have a connection, which nobody shares, enter the state.

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


class Monitor:
    """
    The commands that a server is given, for a callback or for who iterates.
    Each has a connection of its own, whose pings are among the commands.
    """

    _log = Logger()

    def __init__(
        self,
        connection: RedisConnection,
        listener: MonitorListener | None,
        max_buffered: int,
        overflow: Overflow,
    ) -> None:
        pauses = overflow is Overflow.PAUSE
        self._connection = connection
        self._listener = listener
        self._closed = False
        self._mailbox: Mailbox[MonitoredCommand] = Mailbox(
            max_buffered,
            overflow,
            *((connection.pause_reading, connection.resume_reading) if pauses else ()),
        )
        connection.when_disconnected().addCallback(self._ended)

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
            <sockhost.interfaces.RedisConnectionError>} if the connection was
            lost.  Cancelling loses nothing.
        """
        return self._mailbox.get()

    def close(self) -> Deferred[None]:
        """
        End it.  What was received before can still be read.

        @return: fires when the connection is gone.
        """
        self._closed = True
        self._mailbox.end(StopAsyncIteration())
        self._connection.abort()
        return self._connection.when_disconnected().addCallback(lambda _: None)

    def take(self, line: bytes) -> None:
        """A line has come."""
        command = parse_line(line)
        if self._closed:
            return
        if self._listener is None:
            self._mailbox.put(command)
        else:
            tell(self._log, self._listener, command)

    def _ended(self, reason: RedisError | None) -> None:
        self._mailbox.end(RedisConnectionError(str(reason or "closed")))


async def monitor(
    borrow: Callable[[], Deferred[RedisConnection]],
    listener: MonitorListener | None,
    max_buffered: int,
    overflow: Overflow,
) -> Monitor:
    """
    Begin to monitor, on a connection of its own.

    @param borrow: gives the connection.
    """
    connection = await borrow()
    try:
        new = Monitor(connection, listener, max_buffered, overflow)
        await start_monitoring(connection, new.take)
    except BaseException:
        connection.abort()
        raise
    return new
