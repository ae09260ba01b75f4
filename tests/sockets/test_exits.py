"""
Tests for handlers that raise what is no C{Exception}: C{sys.exit()} in a
library, C{KeyboardInterrupt}, the cancellation of asyncio.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import IClient, SockhostError
from sockhost.sockets.handler import load_object, make_handler
from sockhost.testing.units import MemoryUnitHost
from tests.sockets.fakes import Scripted, Served
from tests.sockets.hub_fakes import HubServed, HubTestCase

EXITS = (SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError())


class Batched(Scripted):
    """A handler that takes frames together."""

    def received_batch(self, client: IClient, frames: Sequence[bytes]) -> object:
        """Take all, and answer the first way."""
        return self.answer(client, frames[0])


class ExitTests(HubTestCase):
    """A handler that exits fails for that client, as with any other failure."""

    def assert_fails(
        self,
        served: Any,
        *frames: bytes,
        error: BaseException,
        welcome: bool = True,
    ) -> None:
        """It is logged once and counted, and the client is dropped."""
        connected = served.connect()
        connected.send(*frames)
        if isinstance(served, HubServed):
            connected.wire.take()
            served.hub.settle()
            served.hub.settle()
        else:
            if not connected.wire.disconnecting:
                connected.wire.take()
            self.assertTrue(connected.wire.disconnecting)
            connected.lose()
        self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
        self.assertEqual(served.server.counters.errors, 1)
        self.assertEqual(served.server.clients, [])
        self.assertEqual(len(served.handler.gone), 1 if welcome else 0)

    def each(
        self, handler: Callable[[Callable[..., object]], Any], **expected: Any
    ) -> None:
        """Try every exit, at once and from a coroutine, here and in a hub."""
        for error in EXITS:

            def leave(*_: object, error: BaseException = error) -> object:
                raise error

            async def leave_soon(*_: object, error: BaseException = error) -> object:
                raise error

            for way in (leave, leave_soon):
                for made in (Served, HubServed):
                    served = made(handler(way))
                    self.assert_fails(served, b"a", error=error, **expected)

    def test_received(self) -> None:
        """In C{received}."""
        self.each(lambda way: Scripted(answer=way))

    def test_received_batch(self) -> None:
        """In C{received_batch}."""
        self.each(lambda way: Batched(answer=way))

    def test_connected(self) -> None:
        """In C{connected}: the client is turned away."""
        self.each(lambda way: Scripted(greet=way), welcome=False)

    def test_within_run(self) -> None:
        """In the middle of many frames."""
        for made in (Served, HubServed):

            def answer(_: IClient, frame: bytes) -> bytes:
                return sys.exit(3) if frame == b"bad" else frame

            served = made(Scripted(answer=answer))
            frames = [b"abc"] * 20 + [b"bad"] + [b"def"] * 20
            self.assert_fails(served, *frames, error=SystemExit(3))
            self.assertEqual(served.handler.frames, frames[:21])

    def test_later(self) -> None:
        """In a Deferred or a coroutine that has waited."""
        for made in (Served, HubServed):
            first: Deferred[None] = Deferred()

            async def answer(*_: object, first: Deferred[None] = first) -> bytes:
                await first
                sys.exit(3)

            served = made(Scripted(answer=answer))
            served.connect().send(b"a")
            first.callback(None)
            self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
            self.assertEqual(served.server.counters.errors, 1)

    def test_disconnected(self) -> None:
        """In C{disconnected}: the client is gone all the same."""
        for made in (Served, HubServed):
            served = made(Scripted(part=lambda _: sys.exit(3)))
            served.connect().lose()
            self.assertEqual(len(self.flushLoggedErrors(SystemExit)), 1)
            self.assertEqual(served.server.counters.errors, 1)
            self.assertEqual(served.server.status()["clients"], 0)


class LoadTests(SynchronousTestCase):
    """A module or a class that exits cannot be loaded."""

    def setUp(self) -> None:
        """Make a module whose class exits."""
        module = ModuleType("exiting")
        module.__dict__["Handler"] = lambda host: sys.exit("not me")
        sys.modules["exiting"] = module
        self.addCleanup(sys.modules.pop, "exiting")

    def test_made(self) -> None:
        """When it is made."""
        error = self.assertRaises(
            SockhostError,
            make_handler,
            "exiting:Handler",
            MemoryUnitHost(self.mktemp()),
            {},
        )
        self.assertIn("SystemExit: not me", str(error))
        self.flushLoggedErrors(SystemExit)

    def test_imported(self) -> None:
        """When it is imported."""
        directory = self.mktemp()
        os.makedirs(directory)
        with open(os.path.join(directory, "exits_at_once.py"), "w") as file:
            file.write("import sys; sys.exit('no')")
        self.addCleanup(sys.path.remove, directory)
        error = self.assertRaises(
            SockhostError, load_object, "exits_at_once:Handler", directory
        )
        self.assertIn("SystemExit: no", str(error))
        self.flushLoggedErrors(SystemExit)
