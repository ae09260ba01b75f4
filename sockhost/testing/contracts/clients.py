# -*- test-case-name: tests.testing.test_part_contracts -*-
"""
The contract of L{IClient<sockhost.interfaces.IClient>} as tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define
from twisted.internet.interfaces import ITransport
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from sockhost.interfaces import Disconnected, FrameError, IClient, SockhostError
from sockhost.testing.contracts._case import ContractCase, contract_tests

COUNTERS = ("frames_in", "frames_out", "bytes_in", "bytes_out", "in_flight", "queued")


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

    def test_facts(self) -> None:
        """What it counts and knows beside is of the right types."""
        for name in COUNTERS:
            count = getattr(self.client, name)
            self.assertIsInstance(count, int, name)
            self.assertGreaterEqual(count, 0, name)
        for group in self.client.groups:
            self.assertIsInstance(group, int)
        self.assertIsInstance(self.client.pidfd, int | None)
        self.assertEqual(self.client.pidfd, self.client.pidfd)
        if self.client.transport is not None:
            verifyObject(ITransport, self.client.transport)
        if self.client.sender is not None:
            self.assertIsInstance(self.client.sender.uid, int | None)

    async def test_counted(self) -> None:
        """What is sent to it is counted, and waits until it is taken."""
        frames, size = self.client.frames_out, self.client.bytes_out
        for payload in (b"one", b"three"):
            self.client.send(payload)
        self.assertEqual(self.client.frames_out, frames + 2)
        self.assertGreaterEqual(self.client.bytes_out, size + len(b"onethree"))
        await self.turn(self.fixture.take)
        self.assertEqual(self.client.queued, 0)
        self.assertEqual(self.fixture.other.frames_out, 0)

    def test_take_fds(self) -> None:
        """What it has passed can be taken once; this one has passed nothing."""
        self.assertEqual(list(self.client.take_fds()), [])

    async def test_send_no_descriptor(self) -> None:
        """What is no descriptor cannot be passed, and nothing is sent then."""
        kinds = (SockhostError, OSError, ValueError)
        await self.refused(lambda: self.client.send_fds(b"with", [-1]), *kinds)
        self.assertTrue(self.client.connected)
        await self.turn(self.fixture.take)
        self.assertEqual(list(self.fixture.frames()), [])

    async def test_gone_facts(self) -> None:
        """What it was is still known when it has left."""
        known = (self.client.id, self.client.pid, self.client.uid, self.client.gid)
        self.client.send(b"one")
        await self.turn(self.fixture.take)
        frames, size = self.client.frames_out, self.client.bytes_out
        await self.gone()
        self.assertEqual(
            (self.client.id, self.client.pid, self.client.uid, self.client.gid), known
        )
        self.assertEqual(
            (self.client.frames_out, self.client.bytes_out), (frames, size)
        )
        self.assertEqual((self.client.in_flight, self.client.queued), (0, 0))
        self.assertEqual(list(self.client.groups), [])
        self.assertIsNone(self.client.pidfd)
        self.assertEqual(list(self.client.take_fds()), [])

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
