"""
A line to a server that takes its time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.protocols.portforward import (
    ProxyClient,
    ProxyClientFactory,
    ProxyFactory,
    ProxyServer,
)

Later = Callable[[Callable[[bytes], None], bytes], None]


class _Near(ProxyServer):
    """The end that the client talks to."""

    def __init__(self, later: Later) -> None:
        self._later = later

    @property
    def clientProtocolFactory(self) -> Any:  # type: ignore[override]
        """Makes the other end."""
        factory = ProxyClientFactory()
        factory.noisy = False
        factory.protocol = partial(_Far, self._later)  # type: ignore[assignment]
        return lambda: factory

    def dataReceived(self, data: bytes) -> None:
        self._later(partial(_hand_on, self), data)


class _Far(ProxyClient):
    """The end that talks to the server."""

    def __init__(self, later: Later) -> None:
        self._later = later

    def dataReceived(self, data: bytes) -> None:
        self._later(partial(_hand_on, self), data)


def _hand_on(end: Any, data: bytes) -> None:
    if end.peer is not None:
        end.peer.transport.write(data)


def listen_slowly(case: Any, reactor: Any, target: int, delay: float) -> int:
    """
    Take connections for the test's time, and hand on what they carry, in order.

    @param target: the TCP port on the loopback interface that it goes to.
    @param delay: how many seconds everything takes, in each direction.
    @return: the port.
    """
    calls: set[IDelayedCall] = set()

    def later(deliver: Callable[[bytes], None], data: bytes) -> None:
        def arrive() -> None:
            calls.discard(call)
            deliver(data)

        call = reactor.callLater(delay, arrive)
        calls.add(call)

    def end() -> None:
        for call in calls:
            call.cancel()

    factory = ProxyFactory("127.0.0.1", target)
    factory.noisy = False
    factory.protocol = partial(_Near, later)  # type: ignore[assignment]
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    case.addCleanup(port.stopListening)
    case.addCleanup(end)
    number: int = port.getHost().port
    return number
