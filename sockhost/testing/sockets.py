# -*- test-case-name: tests.testing.test_sockets -*-
"""
A framed socket in memory: a handler, a client, and the pump between them.
"""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.test.iosim import FakeTransport, IOPump, connect

from sockhost.sockets.client import FrameClient
from sockhost.sockets.limits import Limits
from sockhost.sockets.server import FrameServer


@define(eq=False)
class ConnectedPair:
    """
    A client and the server that it is connected to.

    @ivar client: the client's end.
    @ivar server: all that the handler is served by.
    @ivar clock: the server's clock.
    """

    client: FrameClient
    server: FrameServer
    clock: Clock
    _pump: IOPump

    def request(self, payload: bytes) -> Deferred[bytes]:
        """
        Send a frame and carry all bytes both ways.

        @return: has fired with the answer, if the handler answers at once.
        """
        answer = self.client.request(payload)
        self.flush()
        return answer

    def flush(self) -> None:
        """Carry all bytes both ways, until there are no more."""
        self._pump.flush()

    def close(self) -> None:
        """Close the connection from the client's side."""
        self.client.close()
        self.flush()


def connected_pair(
    handler: Any, clock: Clock | None = None, limits: Limits | None = None
) -> ConnectedPair:
    """
    Connect a client to a handler without a socket.

    @param handler: an L{ISocketHandler
        <sockhost.interfaces.ISocketHandler>}, made by the test.  Its C{startup}
        is not called.
    """
    clock = clock or Clock()
    server = FrameServer(clock, handler, limits)
    protocol = server.buildProtocol(None)  # type: ignore[arg-type]
    assert protocol is not None, "the server takes no client"
    client = FrameClient()
    pump = connect(
        protocol,
        FakeTransport(protocol, isServer=True),
        client,
        FakeTransport(client, isServer=False),
    )
    pump.flush()
    return ConnectedPair(client, server, clock, pump)
