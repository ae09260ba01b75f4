# -*- test-case-name: tests.control.test_streams -*-
"""
Server-sent events to one reader, of whatever speed.

What is sent while the connection is full waits here, and not without bound: a
reader that lets more than L{MAX_QUEUED} bytes wait is cut off, since the only
other ways are to lose events silently or to grow without end.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

MAX_QUEUED = 1024 * 1024
"""How many bytes may wait for a slow reader before it is cut off."""

KEEP_ALIVE = 15.0
"""Seconds between comments, by which a dead connection is noticed."""

_LINE_ENDS = re.compile("\r\n|\r|\n")


def event_bytes(data: str) -> bytes:
    """Make the bytes of one event: a C{data} field for each line of it."""
    lines = [f"data: {line}\n" for line in _LINE_ENDS.split(data)]
    return ("".join(lines) + "\n").encode("utf-8", "replace")


@implementer(IPushProducer)
@define(eq=False)
class EventStream:
    """
    A response that is kept open.

    @ivar _ended: fires when the stream is to end.
    @ivar _waiting: what was sent while the connection was full.
    @ivar _queued: how many bytes that is.
    """

    _log = Logger()

    _request: Request
    _clock: IReactorTime
    _ended: Deferred[None] = field(init=False, factory=Deferred)
    _waiting: list[bytes] = field(init=False, factory=list)
    _queued: int = field(init=False, default=0)
    _full: bool = field(init=False, default=False)
    _closed: bool = field(init=False, default=False)
    _keep_alive: LoopingCall = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._keep_alive = LoopingCall(self._write, b": keep-alive\n\n")
        self._keep_alive.clock = self._clock

    def open(self) -> None:
        """Send the headers, and a comment that shows that events follow."""
        self._request.setHeader(b"content-type", b"text/event-stream; charset=utf-8")
        self._request.setHeader(b"cache-control", b"no-store")
        self._request.registerProducer(self, True)
        self._keep_alive.start(KEEP_ALIVE, now=False)
        self._write(b": open\n\n")

    def ended(self) -> Deferred[None]:
        """
        Wait for the end.

        @return: fires when L{end} is called.  Whoever waits cancels it if the
            client goes away, and calls L{close} in any case.
        """
        return self._ended

    def send(self, data: str) -> None:
        """Send one event.  Does nothing once the stream is closed or cut off."""
        self._write(event_bytes(data))

    def send_all(self, data: str) -> None:
        """
        Send one event of something that was asked for as a whole, as in a
        response without a stream: it waits for the reader without bound.
        """
        self._flush()
        self._request.write(event_bytes(data))

    def end(self) -> None:
        """Ask for the end.  More calls do nothing."""
        if not self._ended.called:
            self._ended.callback(None)

    def close(self) -> None:
        """
        Leave nothing behind: no timer, no queue, no producer.  What still
        waited is handed to the connection, so that an orderly end loses
        nothing.
        """
        self._keep_alive.stop()
        self._flush()
        self._closed = True
        # A request whose connection is lost has no channel any more.
        if self._request.channel is not None:
            self._request.unregisterProducer()

    def pauseProducing(self) -> None:
        """The connection is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """The connection takes bytes again."""
        self._full = False
        self._flush()

    def stopProducing(self) -> None:
        """The connection is lost; the request hears of it by itself."""
        self._full = True

    def _write(self, chunk: bytes) -> None:
        if self._closed:
            return
        if not self._full:
            self._request.write(chunk)
            return
        self._waiting.append(chunk)
        self._queued += len(chunk)
        if self._queued > MAX_QUEUED:
            self._cut_off()

    def _flush(self) -> None:
        waiting, self._waiting, self._queued = self._waiting, [], 0
        if waiting:
            self._request.write(b"".join(waiting))

    def _cut_off(self) -> None:
        self._log.warn(
            "a reader of {uri} is too slow: cut off with {queued} bytes waiting",
            uri=self._request.uri.decode("utf-8", "replace"),
            queued=self._queued,
        )
        self._closed = True
        self._waiting.clear()
        # Every transport of the reactor can abort; ITransport does not say so.
        transport: Any = self._request.transport
        transport.abortConnection()
