# -*- test-case-name: tests.supervise.test_ready -*-
"""
When a program that was executed is ready.
"""

from __future__ import annotations

import os
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    DNSLookupError,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from sockhost.config import positive, unix_path
from sockhost.interfaces import NotReady
from sockhost.supervise.notify import NotifySocket

#: Seconds that one attempt to connect may take.
_ATTEMPT = 5.0


def parse_address(text: str) -> tuple[str, str, int]:
    """
    Parse C{"unix:PATH"} or C{"tcp:HOST:PORT"}.

    @return: C{("unix", path, 0)} or C{("tcp", host, port)}.
    @raise ValueError: it is neither, or the path is too long for a socket.
    """
    scheme, _, rest = text.partition(":")
    if scheme == "unix" and rest:
        unix_path(None, None, rest)
        return "unix", rest, 0
    host, _, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if scheme == "tcp" and host and port.isdecimal() and 0 < int(port) < 65536:
        return "tcp", host, int(port)
    raise ValueError('expected "unix:PATH" or "tcp:HOST:PORT"')


def _address(_instance: object, _attribute: object, value: str | None) -> None:
    if value is not None:
        parse_address(value)


def _one_way(instance: Any, _attribute: object, _value: object) -> None:
    ways = (instance.connect is not None, instance.notify, instance.delay is not None)
    if sum(ways) != 1:
        raise ValueError("expected exactly one of connect, notify and delay")


def _delay(_instance: object, _attribute: object, value: float | None) -> None:
    if value is not None:
        positive(None, None, value)


@frozen(kw_only=True)
class Ready:
    """
    When a program is ready: exactly one of the first three.

    @ivar connect: C{"unix:PATH"} or C{"tcp:HOST:PORT"}: when a connection to
        there is accepted.
    @ivar notify: when it says C{READY=1} on the socket that it is told by
        C{NOTIFY_SOCKET}.
    @ivar delay: when it has run for so many seconds.
    @ivar interval: seconds between two attempts to connect.
    @ivar timeout: seconds that it may take, unless it is ready after a C{delay}.
    """

    connect: str | None = field(default=None, validator=_address)
    notify: bool = False
    delay: float | None = field(default=None, validator=_delay)
    interval: float = field(default=0.05, validator=positive)
    timeout: float = field(default=30.0, validator=[positive, _one_way])


def check_in(cwd: str | None, ready: Ready) -> None:
    """
    Look whether a path in C{connect} is short enough where it is used.

    @param cwd: the directory that it is relative to.
    @raise ValueError: it is not.
    """
    scheme, path, _ = parse_address(ready.connect or "unix:unused")
    if scheme == "unix":
        unix_path(None, None, os.path.join(cwd or "", path))


def when_ready(
    reactor: Any,
    ready: Ready,
    cwd: str | None = None,
    notify: NotifySocket | None = None,
) -> Deferred[None]:
    """
    Wait until a program is ready.

    @param reactor: connects and tells the time.
    @param cwd: the directory that the path in C{connect} is relative to.
    @param notify: the program's notify socket, if it has one.
    @return: fires when it is.  Fails with L{NotReady} when the time is over.
        Cancelling ends the waiting; nothing of it is left then.
    """
    waiting = _waiting(reactor, ready, cwd, notify)
    if ready.delay is not None:
        return waiting
    return waiting.addTimeout(
        ready.timeout, reactor, lambda result, _seconds: _late(result, ready)
    )


def _waiting(
    reactor: Any, ready: Ready, cwd: str | None, notify: NotifySocket | None
) -> Deferred[None]:
    if ready.connect is not None:
        endpoint = _endpoint(reactor, ready.connect, cwd)
        connecting = _until_accepted(reactor, endpoint, ready.interval)
        return Deferred.fromCoroutine(connecting)
    if notify is not None:
        return notify.ready.wait()
    return deferLater(reactor, ready.delay or 0.0)


def _late(_result: object, ready: Ready) -> Failure:
    if ready.connect is not None:
        what = f"nothing accepted a connection at {ready.connect}"
    else:
        what = "the program did not say READY=1"
    return Failure(NotReady(f"{what} within {ready.timeout:g} seconds"))


def _endpoint(reactor: Any, address: str, cwd: str | None) -> IStreamClientEndpoint:
    scheme, place, port = parse_address(address)
    if scheme == "unix":
        path = os.path.join(cwd or "", place)
        return UNIXClientEndpoint(reactor, path, timeout=_ATTEMPT)
    return HostnameEndpoint(reactor, place.encode(), port, timeout=_ATTEMPT)


class _Probe(Protocol):
    """A connection that is closed as soon as it is there."""

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """It is accepted, which is all that was to be known."""
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Nothing is left of it."""
        self.gone.callback(None)


async def _until_accepted(
    reactor: Any, endpoint: IStreamClientEndpoint, interval: float
) -> None:
    factory = Factory.forProtocol(_Probe)
    factory.noisy = False
    while True:
        try:
            probe = await endpoint.connect(factory)
        except ConnectingCancelledError:
            raise CancelledError() from None
        except (ConnectError, DNSLookupError):
            await deferLater(reactor, interval)
        else:
            await probe.gone  # type: ignore[attr-defined]
            return
