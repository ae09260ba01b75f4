"""
A framed socket by TLS, which reads in order to write, and which both sides end.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    SSL4ClientEndpoint,
    connectProtocol,
    serverFromString,
)
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from sockhost.interfaces import Disconnected, IClient
from sockhost.sockets import server as server_module
from sockhost.sockets.client import FrameClient
from sockhost.sockets.server import FrameServer
from tests.functional.certificates import Authority
from tests.functional.test_sockets import until

reactor = cast(Any, installed_reactor)


class Greeting:
    """Greets everybody, and waits until the greeting is sent."""

    def __init__(self) -> None:
        self.gone: list[str] = []
        self.client: Any = None

    async def connected(self, client: IClient) -> None:
        """Greet."""
        await client.send(b"hello")
        self.client = client

    def received(self, client: IClient, frame: bytes) -> bytes:
        """Answer."""
        return frame

    def disconnected(self, client: IClient, reason: Disconnected) -> None:
        """Note it."""
        self.gone.append(str(reason))


class TlsTests(TestCase):
    """A server at an endpoint C{ssl:}."""

    timeout = 100

    async def serve(self) -> None:
        """Serve, on a port."""
        key = Authority.made(Path(self.mktemp())).issue("localhost")
        self.handler = Greeting()
        self.server = FrameServer(reactor, self.handler)
        endpoint = f"ssl:0:privateKey={key}:certKey={key}:interface=127.0.0.1"
        port = await serverFromString(reactor, endpoint).listen(self.server)
        self.addCleanup(lambda: self.server.drain(0))
        self.addCleanup(port.stopListening)
        self.port = cast(Any, port).getHost().port

    async def connect(self) -> tuple[FrameClient, Deferred[bytes]]:
        """Get a client, and what it hears."""
        from twisted.internet.ssl import CertificateOptions

        heard: Deferred[bytes] = Deferred()
        made = FrameClient()
        made.on_frame = heard.callback
        options = CertificateOptions(verify=False)
        endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", self.port, options)
        client: FrameClient = await connectProtocol(endpoint, made)
        return client, heard

    async def connect_silent(self) -> ssl.SSLSocket:
        """Get a client that does nothing by itself."""

        def connect() -> ssl.SSLSocket:
            plain = socket.create_connection(("127.0.0.1", self.port))
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return context.wrap_socket(plain)

        client = await deferToThread(connect)
        self.addCleanup(client.close)
        await until(lambda: self.handler.client is not None)
        return client

    async def test_greeting(self) -> None:
        """A handler may wait for what it sends before it takes the client."""
        await self.serve()
        client, heard = await self.connect()
        self.assertEqual(await heard, b"hello")
        self.assertEqual(await client.request(b"x"), b"x")
        await client.close()

    async def test_dropped(self) -> None:
        """Who is dropped and ends the connection, too, is gone at once."""
        await self.serve()
        client, heard = await self.connect()
        await heard
        await until(lambda: self.handler.client is not None)
        self.handler.client.drop("enough")
        await client.when_lost()
        await until(lambda: self.handler.gone == ["enough"])

    async def test_gone_while_dropped(self) -> None:
        """So is who goes without a word."""
        await self.serve()
        client = await self.connect_silent()
        self.handler.client.drop("enough")
        client.close()
        await until(lambda: self.handler.gone == ["enough"])

    async def test_silent(self) -> None:
        """The end of the server does not wait for one who does nothing."""
        self.patch(server_module, "FAREWELL", 0.1)
        await self.serve()
        await self.connect_silent()
        await self.server.drain(0)
        self.assertEqual(self.server.status()["clients"], 0)
        self.assertEqual(self.handler.gone, ["the socket is being closed"])
