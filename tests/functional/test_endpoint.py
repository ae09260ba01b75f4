"""
The endpoint C{sockhost:path=…}, as other programs on Twisted use it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from pwd import getpwall
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    UNIXClientEndpoint,
    connectProtocol,
    serverFromString,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import PathInUse, SockhostError
from sockhost.sockets.endpoint import SafeEndpointParser, SafePort, parse_endpoint
from tests.functional.hosts import TWISTD, HostCase, pause
from tests.functional.reaching import own_names


class Echo(Protocol):
    """Sends back what comes."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        transport: Any = self.transport
        transport.write(data)


class Asking(Protocol):
    """
    A client.

    @ivar answered: fires with the first bytes, or with C{b""} at the end.
    """

    def __init__(self) -> None:
        self.answered: Deferred[bytes] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Ask."""
        transport: Any = self.transport
        transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        """It is answered."""
        self._fire(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """There will be no answer."""
        self._fire(b"")
        self.gone.callback(None)

    def _fire(self, data: bytes) -> None:
        if not self.answered.called:
            self.answered.callback(data)


class EndpointTests(TestCase):
    """Tests for the endpoint, from its description on."""

    timeout = 100

    def setUp(self) -> None:
        """Make a directory whose name is short enough."""
        from twisted.internet import reactor

        self.reactor: Any = reactor
        directory = tempfile.mkdtemp(prefix="sk")
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "s")

    async def listen(self, more: str = "", where: str | None = None) -> Any:
        """Listen at the endpoint that is described."""
        where = where or f"path={self.path}"
        endpoint = serverFromString(self.reactor, f"sockhost:{where}{more}")
        verifyObject(IStreamServerEndpoint, endpoint)
        factory = Factory.forProtocol(Echo)
        factory.noisy = False
        port = await endpoint.listen(factory)
        self.addCleanup(port.stopListening)
        return port

    async def ask(self, path: str) -> bytes:
        """Connect, send something, and wait for what comes."""
        asking: Asking = await connectProtocol(
            UNIXClientEndpoint(self.reactor, path), Asking()
        )
        answer = await asking.answered
        transport: Any = asking.transport
        transport.loseConnection()
        await asking.gone
        return answer

    async def test_not_watched(self) -> None:
        """Where the system cannot watch the socket, nothing is left of it."""

        def full(_reader: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patched = mock.patch.object(self.reactor, "addReader", full)
        with patched, self.assertRaises(SockhostError):
            await self.listen()
        self.assertFalse(os.path.exists(self.path))
        await self.listen()

    async def test_serves(self) -> None:
        """It serves, with the permissions that were asked for, and goes whole."""
        port = await self.listen(":mode=660")
        verifyObject(IListeningPort, port)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o660)
        self.assertEqual(port.getHost().name, self.path.encode())
        self.assertEqual(await self.ask(self.path), b"hello")
        await port.stopListening()
        self.assertFalse(os.path.exists(self.path))
        await port.stopListening()

    async def test_allowed(self) -> None:
        """Those whom a rule means get in."""
        await self.listen(f":allow=%4711,{os.getuid()}")
        self.assertEqual(await self.ask(self.path), b"hello")

    async def test_refused(self) -> None:
        """Others see the connection close, and are counted."""
        port = await self.listen(":allow=4711:mode=666")
        self.assertEqual(await self.ask(self.path), b"")
        self.assertEqual(port.refused, 1)

    async def test_denied(self) -> None:
        """A rule can also mean those who do not get in."""
        port = await self.listen(f":deny={os.getuid()}")
        self.assertEqual(await self.ask(self.path), b"")
        self.assertEqual(port.refused, 1)

    async def test_abstract(self) -> None:
        """An abstract socket needs a rule."""
        name = f"@{self.path}"
        await self.listen(":allow=*", where=f"path={name}")
        self.assertEqual(await self.ask("\0" + self.path), b"hello")
        with self.assertRaises(ValueError) as caught:
            serverFromString(self.reactor, f"sockhost:path={name}")
        self.assertIn("allow", str(caught.exception))

    async def test_in_use(self) -> None:
        """A path that somebody listens on is refused."""
        await self.listen()
        with self.assertRaises(PathInUse):
            await self.listen()
        self.assertEqual(await self.ask(self.path), b"hello")

    async def test_stale(self) -> None:
        """The socket of an ended program is replaced."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(self.path)
        await self.listen()
        self.assertEqual(await self.ask(self.path), b"hello")

    async def test_inherited(self) -> None:
        """A socket that was inherited is used, and its file stays."""
        with socket.socket(socket.AF_UNIX) as inherited:
            inherited.bind(self.path)
            port = await self.listen(where=f"fd={inherited.fileno()}")
            self.assertEqual(await self.ask(self.path), b"hello")
            await port.stopListening()
        self.assertTrue(os.path.exists(self.path))

    async def test_unknown_user(self) -> None:
        """A rule about nobody is refused when it listens."""
        with self.assertRaises(SockhostError):
            await self.listen(":allow=no-such-user")
        self.assertFalse(os.path.exists(self.path))

    async def test_lost(self) -> None:
        """When the socket breaks, that is logged and nothing is left."""
        port: SafePort = await self.listen()
        assert port._listener is not None
        port._listener.connectionLost(Failure(OSError("broken")))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertFalse(os.path.exists(self.path))


class ParserTests(TestCase):
    """Tests for L{parse_endpoint} and its plugin."""

    def test_interface(self) -> None:
        """The parser is what Twisted looks for."""
        verifyObject(IStreamServerEndpointStringParser, SafeEndpointParser())

    def test_path_first(self) -> None:
        """The path need not be called one."""
        self.assertEqual(parse_endpoint("a/b").path, "a/b")

    def test_all(self) -> None:
        """Every argument is one of the keys of a socket unit."""
        found = parse_endpoint(
            path="s",
            mode="660",
            owner="root",
            group="4",
            backlog="7",
            allow="a,%b",
            deny="c",
        )
        self.assertEqual((found.mode_bits, found.backlog), (0o660, 7))
        self.assertEqual((found.owner, found.group), ("root", "4"))
        self.assertEqual((found.allow, found.deny), (("a", "%b"), ("c",)))

    def test_refused(self) -> None:
        """What makes no sense is a C{ValueError} that says why."""
        parse = SafeEndpointParser().parseStreamServer
        for bad, words in (
            ({}, "exactly one"),
            ({"path": "a", "fd": "3"}, "only one"),
            ({"path": "a", "backlog": "x"}, "whole number"),
            ({"path": "a", "mode": "x"}, "octal"),
            ({"path": "a", "allow": "a b"}, "user's name"),
            ({"path": "a", "color": "red"}, "color"),
        ):
            error = self.assertRaises(ValueError, parse, None, **bad)
            self.assertIn(words, str(error))


def listens(path: Path) -> bool:
    """Say whether somebody takes connections there."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


class TwistdWebTests(HostCase):
    """A program that knows nothing of sockhost, as the documentation shows it."""

    async def serve(self, rules: str) -> str:
        """Have C{twistd web} listen, and say where."""
        self.write("public/hello.txt", "hello, world")
        listen = f"--listen=sockhost:path=web.sock:mode=660:{rules}"
        web = self.spawn([*TWISTD, "-n", "--pidfile=", "web", listen, "--path=public"])
        await web.says("reactor class")
        path = self.directory / "web.sock"
        # It is there, with any mode, before it listens.
        while not listens(path):
            await pause(0.05)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        return str(path)

    def get(self, path: str) -> bytes:
        """Ask for the file; nothing if the connection is closed."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(path)
            answer = b""
            with contextlib.suppress(ConnectionError):
                client.sendall(b"GET /hello.txt HTTP/1.0\r\n\r\n")
                while data := client.recv(65536):
                    answer += data
            return answer

    async def assert_served(self, rules: str) -> None:
        """With these rules this process is served."""
        answer = await deferToThread(self.get, await self.serve(rules))
        self.assertTrue(answer.endswith(b"hello, world"), answer)

    async def test_user(self) -> None:
        """A user is let in by name."""
        await self.assert_served(f"allow={own_names()[0]}")

    async def test_group(self) -> None:
        """So is a group."""
        await self.assert_served(f"allow=%{own_names()[1]}")

    async def test_not_allowed(self) -> None:
        """Others are not, whatever the mode of the file says."""
        others = [each.pw_name for each in getpwall() if each.pw_uid != os.getuid()]
        if not others:
            raise SkipTest("no other user has a name here")
        path = await self.serve(f"allow={others[0]}")
        self.assertEqual(await deferToThread(self.get, path), b"")

    async def test_denied(self) -> None:
        """Nor is a user who is denied by name."""
        path = await self.serve(f"deny={own_names()[0]}")
        self.assertEqual(await deferToThread(self.get, path), b"")
