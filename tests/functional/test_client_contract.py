"""
The contract of clients, for those of real sockets: in a hub, on a transport of
Twisted, and on one that passes descriptors.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from sockhost.sockets.bound import bind_unix
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.server import FrameServer
from sockhost.sockets.serving import make_listener
from sockhost.sockets.wire import MAX_FRAME
from sockhost.testing.contracts import ClientFixture, client_contract_tests
from tests.functional.test_sockets import short_directory
from tests.sockets.fakes import Scripted

reactor: Any = _reactor


class Connected:
    """
    Two clients of a socket, and what the first one has got.
    """

    def __init__(self, case: TestCase, **settings: Any) -> None:
        self.handler = Scripted()
        self.server = FrameServer(reactor, self.handler)
        for name, value in settings.items():
            setattr(self.server, name, value)
        self.path = os.path.join(short_directory(case), "s")
        listener = make_listener(reactor, bind_unix(self.path), self.server)
        listener.start()
        case.addCleanup(self.server.drain, 0)
        case.addCleanup(listener.stop)
        self.codec = Length32Codec()
        self.frames: list[bytes] = []
        self.ours = [self.connect(case) for _ in range(2)]

    def connect(self, case: TestCase) -> socket.socket:
        """Connect a client."""
        connection = socket.socket(socket.AF_UNIX)
        case.addCleanup(connection.close)
        connection.connect(self.path)
        connection.setblocking(False)
        return connection

    async def take(self) -> None:
        """Read all that was sent to the first client."""
        for _ in range(5):
            await deferLater(reactor, 0.01, lambda: None)
            try:
                while data := self.ours[0].recv(65536):
                    self.frames += self.codec.feed(data)
            except OSError:
                # There is no more now, or this side was closed by the test.
                continue

    async def fixture(self) -> ClientFixture:
        """Make the fixture when both are connected."""
        while len(self.handler.clients) < 2:
            await deferLater(reactor, 0.01, lambda: None)
        client, other = self.handler.clients
        return ClientFixture(
            client=client,
            other=other,
            take=lambda: _run(self.take()),
            frames=lambda: self.frames,
            leave=self.ours[0].close,
            reasons=lambda: [why for who, why in self.handler.gone if who is client],
            too_large=bytes(MAX_FRAME),
        )


def _run(work: Any) -> Any:
    return Deferred.fromCoroutine(work)


def _made(case: TestCase, **settings: Any) -> Any:
    return _run(Connected(case, **settings).fixture())


HubClientContractTests = client_contract_tests(
    lambda case: _made(case, transport="hub")
)
TransportClientContractTests = client_contract_tests(
    lambda case: _made(case, transport="protocol")
)
PassingClientContractTests = client_contract_tests(lambda case: _made(case, max_fds=16))
