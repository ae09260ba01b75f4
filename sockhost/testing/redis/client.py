# -*- test-case-name: tests.testing.test_redis -*-
"""
A client of the server in memory that is answered at once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from sockhost.interfaces import (
    CommandTimeout,
    IRedis,
    MaybeExecuted,
    RedisConnectionError,
    RedisError,
    RedisReplyError,
)
from sockhost.redis.decoding import decode_reply
from sockhost.redis.names import Place, place_of, refusal
from sockhost.redis.resp import Argument, RespReader, encode_command
from sockhost.redis.retrying import send_again
from sockhost.redis.working import WorkingClient
from sockhost.testing.redis.replies import encode_reply
from sockhost.testing.redis.server import MemoryRedis


def _decoded(reply: Any) -> Any:
    # Through the codec, so that it is what the real client would give.
    (value,) = RespReader().feed(encode_reply(reply))
    return value


class MemoryConnection:
    """
    A connection of one's own to the server in memory.

    @ivar open: C{True} until it ends.
    """

    def __init__(self, server: MemoryRedis) -> None:
        self._server = server
        self._pending: dict[Deferred[Any], None] = {}
        self._session = server.open(lambda push: None, self._lost)
        self._session.protocol = 3
        self._session.user = True
        self.open = True

    @property
    def outstanding(self) -> int:
        """How many commands have no reply."""
        return len(self._pending)

    def execute(self, *args: Argument, timeout: float | None = None) -> Deferred[Any]:
        """
        Execute a command.

        @param timeout: seconds that its reply is waited for; 0 for no limit.
        """
        try:
            data = encode_command(args)
        except (TypeError, ValueError):
            return fail()
        (words,) = RespReader().feed(data)
        return self._limited(self._take(words), timeout)

    def send_many(
        self, count: int, data: bytes, timeout: float | None = None
    ) -> Deferred[list[Any]]:
        """Execute encoded commands, one after the other."""
        if not self.open:
            return fail(RedisConnectionError("not connected: closed"))
        replies: list[Any] = []
        done: Deferred[list[Any]] = Deferred(lambda each: None)
        self._pending[done] = None

        def answered(reply: Any) -> None:
            if not self._server.loses(self._session):
                replies.append(_decoded(reply))
                if len(replies) == count:
                    self._fire(done, replies)

        for words in RespReader().feed(data):
            self._session.take(words, answered)
        return self._limited(done, timeout)

    def _take(self, words: list[bytes]) -> Deferred[Any]:
        if not self.open:
            return fail(RedisConnectionError("not connected: closed"))
        sent: Deferred[Any] = Deferred(lambda each: None)
        self._pending[sent] = None

        def answered(reply: Any) -> None:
            if not self._server.loses(self._session):
                self._fire(sent, _decoded(reply))

        self._session.take(words, answered)
        return sent

    def _limited(self, sent: Deferred[Any], timeout: float | None) -> Deferred[Any]:
        if timeout and not sent.called:
            late = self._server.clock.callLater(timeout, self._late, sent)
            sent.addBoth(self._in_time, late)
        return sent

    def _late(self, sent: Deferred[Any]) -> None:
        # Its reply, if it comes, goes to nobody.
        sent.errback(CommandTimeout("no reply in the time that it was given"))

    def _in_time(self, result: Any, late: IDelayedCall) -> Any:
        if late.active():
            late.cancel()
        return result

    def _fire(self, sent: Deferred[Any], value: Any) -> None:
        if sent not in self._pending:
            return
        del self._pending[sent]
        if sent.called:
            # Cancelled.
            return
        if isinstance(value, RedisReplyError):
            sent.errback(value)
        else:
            sent.callback(value)

    def abort(self) -> None:
        """End it."""
        self._server.close(self._session)
        self._lost()

    def _lost(self) -> None:
        self.open = False
        pending, self._pending = self._pending, {}
        for each in pending:
            if not each.called:
                each.errback(MaybeExecuted("the reply was lost: cut"))


@implementer(IRedis)
class MemoryClient(WorkingClient):
    """
    Answers at once, and has all that the real client has for the work with data.
    While the server is suspended, its commands wait.  When the server cuts it
    off, it is not connected until L{connect}; what it is given then fails.
    """

    def __init__(self, server: MemoryRedis, decode: str | None = None) -> None:
        """
        @param decode: the encoding of replies, or C{None} for bytes.
        """
        self._server = server
        self._clock = server.clock
        self._decode = decode
        self._connection = MemoryConnection(server)
        self._lent: set[MemoryConnection] = set()
        self._closed = False
        self._connected: list[Deferred[None]] = []

    @property
    def connected(self) -> bool:
        """C{True} until it is cut off."""
        return self._connection.open and not self._closed

    def connect(self) -> None:
        """Connect again after a cut."""
        if self.connected or self._closed:
            return
        self._connection = MemoryConnection(self._server)
        connected, self._connected = self._connected, []
        for each in connected:
            each.callback(None)

    def execute(
        self,
        *args: Argument,
        timeout: float | None = None,
        decode: str | None = None,
        retry: int = 0,
    ) -> Deferred[Any]:
        """
        See L{IRedis.execute<sockhost.interfaces.IRedis.execute>}.

        @param timeout: seconds that its reply is waited for; 0 for no limit.
        @param decode: the encoding of the reply, instead of that of the client;
            C{""} for bytes.
        @param retry: how many times it is sent again when its reply was lost or
            it could not be sent.
        """

        def send() -> Deferred[Any]:
            return self._execute(args, timeout)

        sent = send_again(send, retry, self.lifetime) if retry else send()
        encoding = self._decode if decode is None else decode
        return sent.addCallback(decode_reply, encoding) if encoding else sent

    def _execute(
        self, args: tuple[Argument, ...], timeout: float | None
    ) -> Deferred[Any]:
        if self._closed:
            return fail(self._closed_error())
        if not args:
            return fail(ValueError("a command needs at least its name"))
        place = place_of(args)
        if place in (Place.NOWHERE, Place.BEHIND):
            return fail(RedisError(refusal(args)))
        if place is Place.ALONE and self.connected:
            return self._alone(args, timeout)
        return self._connection.execute(*args, timeout=timeout)

    def _alone(
        self, args: tuple[Argument, ...], timeout: float | None
    ) -> Deferred[Any]:
        connection = MemoryConnection(self._server)
        self._lent.add(connection)
        sent = connection.execute(*args, timeout=timeout)
        return sent.addBoth(self._end_loan, connection)

    def _end_loan(self, result: Any, connection: MemoryConnection) -> Any:
        self.release(connection)
        return result

    def send_many(
        self, count: int, data: bytes, timeout: float | None = None
    ) -> Deferred[list[Any]]:
        """Execute encoded commands."""
        if not self.connected:
            return fail(RedisConnectionError("not connected"))
        return self._connection.send_many(count, data, timeout)

    def send_alone(
        self, count: int, data: bytes, timeout: float | None = None
    ) -> Deferred[list[Any]]:
        """Execute encoded commands on a connection to themselves."""
        if not self.connected:
            return fail(RedisConnectionError("not connected"))
        connection = MemoryConnection(self._server)
        self._lent.add(connection)
        sent = connection.send_many(count, data, timeout)
        return sent.addBoth(self._end_loan, connection)

    def dedicated(self) -> Deferred[Any]:
        """Get a connection to oneself."""
        if not self.connected:
            return fail(RedisConnectionError("not connected"))
        connection = MemoryConnection(self._server)
        self._lent.add(connection)
        return succeed(connection)

    def release(self, connection: Any) -> None:
        """Give it back, which ends it."""
        self._lent.discard(connection)
        connection.abort()

    def when_connected(self) -> Deferred[None]:
        """
        See L{IRedis.when_connected<sockhost.interfaces.IRedis.when_connected>}.
        """
        if self._closed:
            return fail(self._closed_error())
        if self.connected:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._connected.remove)
        self._connected.append(waiting)
        return waiting

    def close(self, timeout: float = 5.0) -> Deferred[None]:
        """
        Close.  All that can be answered has been, so nothing is waited for.
        """
        self._closed = True
        self.lifetime.end()
        for connection in [self._connection, *self._lent]:
            connection.abort()
        connected, self._connected = self._connected, []
        for each in connected:
            each.errback(self._closed_error())
        return succeed(None)

    def _closed_error(self) -> RedisConnectionError:
        return RedisConnectionError("the client is closed")
