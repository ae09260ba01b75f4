# -*- test-case-name: tests.sockets.test_pushed -*-
"""
Connections by TLS, as the endpoint C{ssl:} makes them.

An L{Outbox<sockhost.sockets.outbox.Outbox>} is asked for more by its transport
whenever nothing is left to send.  TLS would ask it for ever, whether there is
something or not, and keep a processor busy with it.  Here TLS only says when it
has too much, and the asking is done once after each write.

Until both sides have agreed on how, TLS reads in order to write.  Who is not to be
read from is not paused before that: what is sent to it would never go, and
whoever waits for that with reading would wait for ever.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from zope.interface import implementer


def as_stream(transport: Any, clock: IReactorTime) -> Any:
    """
    Make of the transport of a connection one that an outbox can have.

    @return: an L{IStream<sockhost.sockets.outbox.IStream>}.
    """
    if ISSLTransport.providedBy(transport):
        return PushedStream(transport, clock)
    return transport


class PushedStream:
    """
    What an outbox needs of a transport, made of one by TLS.
    """

    def __init__(self, transport: Any, clock: IReactorTime) -> None:
        self._transport = transport
        self._clock = clock
        self._producer: Any = None
        self._paused = False
        self._agreed = False
        self._reading = True
        self._asking: IDelayedCall | None = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Ask a producer for more after each write.

        @param streaming: is false.
        """
        self._producer = producer
        self._transport.registerProducer(_Gauge(self), True)

    def unregisterProducer(self) -> None:
        """Ask no more."""
        self.forget()
        self._transport.unregisterProducer()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)
        self._ask()

    def pauseProducing(self) -> None:
        """Do not read."""
        self._reading = False
        if self._agreed:
            self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self._reading = True
        self._transport.resumeProducing()

    def agreed(self) -> None:
        """TLS is there, and reads nothing more for itself."""
        self._agreed = True
        if not self._reading:
            self._transport.pauseProducing()

    def loseConnection(self) -> None:
        """Close the connection when all is sent."""
        self._transport.loseConnection()
        # TLS waits for the other side to end it, too, and is to hear of that;
        # who reads no frames from a client any more has paused it.
        self.resumeProducing()

    def abortConnection(self) -> None:
        """Close the connection now."""
        self._transport.abortConnection()

    def hold(self, paused: bool) -> None:
        """TLS has too much, or not any more."""
        self._paused = paused
        if paused:
            self._stop_asking()
        elif self._producer is not None:
            self._ask()

    def forget(self) -> None:
        """The connection is over."""
        self._stop_asking()
        self._producer = None

    def _ask(self) -> None:
        # In a turn of its own, as the answer may be another write.
        if self._asking is None and not self._paused:
            self._asking = self._clock.callLater(0, self._asked)

    def _asked(self) -> None:
        self._asking = None
        if self._producer is not None:
            self._producer.resumeProducing()

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None


@implementer(IPushProducer)
class _Gauge:
    """Is told by TLS whether it has too much."""

    def __init__(self, stream: PushedStream) -> None:
        self._stream = stream

    def pauseProducing(self) -> None:
        """It has."""
        self._stream.hold(True)

    def resumeProducing(self) -> None:
        """It has not any more."""
        self._stream.hold(False)

    def stopProducing(self) -> None:
        """The connection is lost."""
        self._stream.forget()
