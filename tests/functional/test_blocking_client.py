"""
The blocking client of framed sockets, against a real one.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from sockhost.interfaces import Disconnected, FrameError
from sockhost.sockets.blocking import BlockingClient
from sockhost.sockets.line import LineCodec
from sockhost.sockets.wire import pack
from tests.functional.test_sockets import ROOT, ServedTestCase, reactor

Asking = Callable[[BlockingClient], object]


class BlockingClientTests(ServedTestCase):
    """The client that needs nothing but the standard library."""

    async def ask(self, what: Asking, timeout: float | None = 10) -> Any:
        """Do something with a client, in a thread."""

        def work() -> object:
            with BlockingClient(self.path, timeout, max_frame=1 << 20) as client:
                return what(client)

        return await deferToThread(work)

    async def test_request(self) -> None:
        """Requests are answered, big ones too."""
        payload = b"x" * 900_000
        self.assertEqual(await self.ask(lambda c: c.request(payload)), payload)

    async def test_pipelined(self) -> None:
        """Frames that came together are received one by one."""

        def several(client: BlockingClient) -> list[bytes]:
            for each in (b"a", b"", b"c"):
                client.send(each)
            return [client.receive() for _ in range(3)]

        self.assertEqual(await self.ask(several), [b"a", b"", b"c"])

    async def test_timeout(self) -> None:
        """A frame that does not come in time can still be waited for."""

        def impatient(client: BlockingClient) -> bytes:
            client.send(b"hold")
            self.assertRaises(TimeoutError, client.receive)
            client._timeout = 10
            reactor.callFromThread(self.handler.held.callback, None)
            return client.receive()

        self.assertEqual(await self.ask(impatient, 0.05), b"hold")

    async def test_late_answer(self) -> None:
        """An answer that comes too late is nobody's, least of all the next one's."""

        def impatient(client: BlockingClient) -> tuple[bool, str]:
            try:
                client.request(b"wait")
            except TimeoutError:
                timed_out = True
            client._timeout = 10
            error = self.assertRaises(Disconnected, client.request, b"next")
            self.assertRaises(Disconnected, client.send, b"next")
            self.assertRaises(Disconnected, client.receive)
            return timed_out, str(error)

        timed_out, why = await self.ask(impatient, 0.01)
        self.assertTrue(timed_out)
        self.assertIn("a request has had no answer", why)

    async def test_last_words(self) -> None:
        """What the server said before it closed is received though it took nothing."""
        ours, theirs = socket.socketpair()
        with BlockingClient(self.path, 10) as client:
            client._socket.close()
            client._socket = theirs
            ours.send(pack(b"enough"))
            ours.close()
            self.assertRaises(Disconnected, client.request, b"x")
            self.assertEqual(client.receive(), b"enough")
            self.assertRaises(Disconnected, client.receive)

    async def test_interrupted(self) -> None:
        """So it is with an answer whose waiter was interrupted."""

        def interrupt(_deadline: object) -> bytes:
            raise KeyboardInterrupt

        with BlockingClient(self.path, 10) as client:
            self.patch(client, "_some", interrupt)
            self.assertRaises(KeyboardInterrupt, client.request, b"x")
            self.assertRaises(Disconnected, client.request, b"next")

    async def test_too_large_request(self) -> None:
        """A request that cannot be sent costs nothing else."""

        def again(client: BlockingClient) -> bytes:
            self.assertRaises(FrameError, client.request, b"x" * (1 << 20))
            return client.request(b"y")

        self.assertEqual(await self.ask(again), b"y")

    async def test_not_taken(self) -> None:
        """A frame that the server does not take ends the connection."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        with BlockingClient(self.path, 0.01) as client:
            client._socket.close()
            client._socket = theirs
            self.assertRaises(TimeoutError, client.send, b"x" * 10_000_000)
            self.assertRaises(Disconnected, client.send, b"y")

    async def test_descriptors_lost(self) -> None:
        """
        Descriptors for which the system has no number end the connection, and
        those that came with them are closed.
        """
        ours, theirs = socket.socketpair()
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        with ours, open("/dev/null") as null, BlockingClient(self.path, 10) as client:
            client._socket.close()
            client._socket = theirs
            socket.send_fds(ours, [pack(b"take these")], [null.fileno()] * 3)
            free = os.dup(null.fileno())
            os.close(free)
            # Room for one of them.
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, allowed[1]))
            try:
                error = self.assertRaises(Disconnected, client.receive)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
            self.assertRaises(OSError, os.fstat, free)
            self.assertEqual(client.take_fds(), [])
        self.assertIn("the system had none left", str(error))

    async def test_closed(self) -> None:
        """One that was closed says so."""
        client = BlockingClient(self.path, 10)
        client.close()
        client.close()
        self.assertRaises(Disconnected, client.request, b"x")

    async def test_disconnected(self) -> None:
        """A server that closes is noticed, cleanly between frames."""

        def dropped(client: BlockingClient) -> bytes:
            client.request(b"x")
            reactor.callFromThread(self.handler.clients[0].drop, "enough")
            return client.receive()

        with self.assertRaises(Disconnected) as caught:
            await self.ask(dropped)
        self.assertTrue(caught.exception.clean)

    async def test_too_large(self) -> None:
        """Frames above the limit are neither sent nor received."""
        with self.assertRaises(FrameError):
            await self.ask(lambda client: client.send(b"x" * (1 << 20)))

        def pushed(client: BlockingClient) -> bytes:
            client.request(b"x")
            push = self.handler.clients[-1].send
            reactor.callFromThread(
                lambda: push(b"y" * (1 << 20)).addErrback(lambda _: None)
            )
            return client.receive()

        with self.assertRaises(FrameError):
            await self.ask(pushed)

    async def test_full_backlog(self) -> None:
        """A server that accepts nobody for a while is waited for."""
        path = self.path + "2"
        with socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as stack:
            server.bind(path)
            server.listen(0)
            for _ in range(2):
                waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                waiting.setblocking(False)
                waiting.connect_ex(path)
            self.assertRaises(TimeoutError, BlockingClient, path, 0.02)
            accepted = deferToThread(lambda: BlockingClient(path, 10).close())
            await deferLater(reactor, 0.02)
            server.accept()[0].close()
            await accepted

    async def test_other_framing(self) -> None:
        """A codec can be given for a server that has another framing."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        with BlockingClient(self.path, 10, codec=LineCodec(100)) as client:
            client._socket.close()
            client._socket = theirs
            client.send(b"ask")
            self.assertEqual(ours.recv(99), b"ask\n")
            ours.send(b"one\ntwo\nthr")
            self.assertEqual([client.receive(), client.receive()], [b"one", b"two"])
            ours.shutdown(socket.SHUT_WR)
            error = self.assertRaises(Disconnected, client.receive)
            self.assertFalse(error.clean)

    async def test_framing_error(self) -> None:
        """What is no frame by the codec is told, behind those that are."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        with BlockingClient(self.path, 10, codec=LineCodec(5)) as client:
            client._socket.close()
            client._socket = theirs
            ours.send(b"one\n" + b"x" * 10)
            self.assertEqual(client.receive(), b"one")
            self.assertRaises(FrameError, client.receive)

    async def test_nobody_there(self) -> None:
        """Without a server there is an error of the system."""
        self.assertRaises(FileNotFoundError, BlockingClient, self.path + "x")

    async def test_imports(self) -> None:
        """It loads neither zope nor Twisted."""
        script = (
            "import sys, sockhost.sockets.blocking\n"
            "print([m for m in ('zope', 'twisted', 'attr') if m in sys.modules])"
        )
        said = await deferToThread(
            subprocess.check_output, [sys.executable, "-c", script], cwd=ROOT
        )
        self.assertEqual(said.strip(), b"[]")
