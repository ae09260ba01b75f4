# -*- test-case-name: tests.testing.test_contracts -*-
"""
The contract of L{IClient<sockhost.interfaces.IClient>} as tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, FrameError, IClient
from sockhost.testing.contracts._case import ContractCase, contract_tests


@define(kw_only=True)
class ClientFixture:
    """
    A client that has connected, as its handler sees it, and the hands that
    turn its other side.

    @ivar client: it is connected.
    @ivar other: another one, of the same socket.
    @ivar take: brings about that all that was sent arrives.
    @ivar frames: says which frames have arrived, in order.
    @ivar leave: closes the connection from the other side.
    @ivar reasons: says with which reasons the handler's C{disconnected} was
        called for this client.
    @ivar too_large: a payload that cannot be sent; C{None} if there is none.
    """

    client: Any
    other: Any
    take: Callable[[], object]
    frames: Callable[[], Sequence[bytes]]
    leave: Callable[[], object]
    reasons: Callable[[], Sequence[Disconnected]]
    too_large: bytes | None = None


class _ClientContract(ContractCase):
    """What L{IClient} promises."""

    fixture: ClientFixture

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.client = self.fixture.client

    async def gone(self) -> None:
        """The other side leaves."""
        await self.turn(self.fixture.leave)
        await self.turn(self.fixture.take)

    def test_interface(self) -> None:
        """It has all that a client has, of the right types."""
        verifyObject(IClient, self.client)
        self.assertIsInstance(self.client.id, int)
        for value in (self.client.pid, self.client.uid, self.client.gid):
            self.assertIsInstance(value, int | None)
        self.assertIsInstance(self.client.connected_at, float | int)
        self.assertIs(self.client.connected, True)

    def test_id(self) -> None:
        """Its number is its own."""
        self.assertNotEqual(self.client.id, self.fixture.other.id)

    def test_data(self) -> None:
        """A handler keeps with it what it likes."""
        kept = object()
        self.client.data = kept
        self.assertIs(self.client.data, kept)
        self.assertIsNot(self.fixture.other.data, kept)

    async def test_send(self) -> None:
        """Frames arrive in order, and each send ends when its frame is taken."""
        sent = [self.client.send(each) for each in (b"one", b"", b"three")]
        await self.turn(self.fixture.take)
        for each in sent:
            self.assertIsNone(await each)
        self.assertEqual(list(self.fixture.frames()), [b"one", b"", b"three"])

    async def test_too_large(self) -> None:
        """What is too large fails that send alone."""
        large = self.fixture.too_large
        if large is None:
            self.lack("what is too large")
        await self.refused(lambda: self.client.send(large), FrameError)
        self.assertTrue(self.client.connected)
        sent = self.client.send(b"small")
        await self.turn(self.fixture.take)
        self.assertIsNone(await sent)
        self.assertEqual(list(self.fixture.frames()), [b"small"])

    async def test_leaves(self) -> None:
        """When it has left, it is not connected, and sending fails."""
        await self.gone()
        self.assertIs(self.client.connected, False)
        await self.refused(lambda: self.client.send(b"late"), Disconnected)
        self.assertEqual(len(self.fixture.reasons()), 1)
        self.assertTrue(self.fixture.other.connected)

    async def test_leaves_before_sent(self) -> None:
        """A frame that it leaves before taking fails, if it is known."""
        sent = self.client.send(b"never read")
        await self.gone()
        outcome: list[object] = []
        sent.addCallback(outcome.append)
        sent.addErrback(lambda failure: outcome.append(failure.trap(Disconnected)))
        self.assertEqual(len(outcome), 1)

    async def test_drop(self) -> None:
        """A client that is dropped gets what was sent before, and no more."""
        self.client.send(b"last words")
        self.client.drop("enough")
        self.assertIs(self.client.connected, False)
        await self.refused(lambda: self.client.send(b"late"), Disconnected)
        await self.turn(self.fixture.take)
        self.assertEqual(list(self.fixture.frames()), [b"last words"])
        (reason,) = self.fixture.reasons()
        self.assertIn("enough", str(reason))

    async def test_drop_twice(self) -> None:
        """The first reason counts; a client that is gone may be dropped too."""
        self.client.drop("first")
        self.client.drop("second")
        await self.gone()
        self.client.drop("third")
        (reason,) = self.fixture.reasons()
        self.assertIn("first", str(reason))


def client_contract_tests(make: Callable[[TestCase], object]) -> type[TestCase]:
    """
    Make the tests of L{IClient} for the clients of a server.

    @param make: makes a L{ClientFixture} anew for each test.
    """
    return contract_tests(
        "ClientContractTests", _ClientContract, make=staticmethod(make)
    )
