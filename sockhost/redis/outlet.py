# -*- test-case-name: tests.redis.test_connection -*-
"""
When the bytes of a queue are handed to the transport.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from sockhost.redis.line import Line
from sockhost.redis.wire import Send, is_socket, make_sender


def _send_nothing(data: bytes) -> None:
    """There is no transport."""


@implementer(IPushProducer)
@define(eq=False)
class Outlet:
    """
    Sends at once where nothing is owed, for there is nothing to join that with;
    else everything of a turn of the reactor in one write, or everything that
    the replies of one read have led to.  Nothing, while the server reads more
    slowly than we write.

    @ivar awaited: C{True} if it is certain to look again, so that it need not
        be told of new bytes.  Set it to gather them until L{end_turn}.
    """

    _clock: IReactorTime
    _line: Line
    awaited: bool = True
    _transport: Any = None
    _send: Send = field(default=_send_nothing)
    _paused: bool = False
    _call: IDelayedCall | None = None

    def open(self, transport: Any) -> None:
        """Begin to send, by a transport that has just connected."""
        self._transport = transport
        transport.registerProducer(self, True)
        self._send = make_sender(transport, self)
        self.awaited = False
        if is_socket(transport):
            # A server that hangs up at once has said why, and a write to it
            # would lose that: what has come already is read first.
            self._wait()

    def end_production(self) -> None:
        """Say to the transport that no more comes, before it is closed."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.unregisterProducer()

    def close(self) -> None:
        """Send nothing any more; no timer is left."""
        self._send = _send_nothing
        self.awaited = True
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def wake(self, idle: bool) -> None:
        """
        Take note that there are bytes.

        @param idle: whether they are the only ones that the server has to
            answer.
        """
        if not idle:
            self._wait()
        elif self._paused or self._line.withdrawn:
            self.flush()
        else:
            # The way of one command at a time.
            self._send(self._line.unsent.pop())

    def end_turn(self) -> None:
        """Send what has gathered since C{awaited} was set."""
        self.awaited = self._call is not None
        line = self._line
        if len(line.unsent) == 1 and not (self._paused or line.withdrawn):
            # One command for one reply: flush() takes 0.2 us longer.
            self._send(line.unsent.pop())
        elif line.unsent:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the transport, in one write."""
        if self._line.unsent and not self._paused:
            data = self._line.take_bytes()
            if data:
                self._send(data)

    def pauseProducing(self) -> None:
        """The server reads more slowly than we write: hold commands here."""
        self._paused = True

    def resumeProducing(self) -> None:
        """What was held may be sent."""
        self._paused = False
        self.flush()

    def stopProducing(self) -> None:
        """The transport is gone: the connection is told so too."""

    def _wait(self) -> None:
        self.awaited = True
        self._call = self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        self._call = None
        self.awaited = False
        self.flush()
