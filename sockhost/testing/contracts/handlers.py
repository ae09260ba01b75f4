# -*- test-case-name: tests.testing.test_part_contracts -*-
"""
The contracts of L{ISocketHandler<sockhost.interfaces.ISocketHandler>},
L{IBatchHandler<sockhost.interfaces.IBatchHandler>} and
L{ILifecycle<sockhost.interfaces.ILifecycle>} as tests.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import TestCase
from zope.interface.interface import Method
from zope.interface.verify import verifyObject

from sockhost.interfaces import IBatchHandler, ILifecycle, ISocketHandler
from sockhost.sockets.framing import Length32Codec
from sockhost.sockets.handler import run_hook
from sockhost.testing.contracts._case import ContractCase, contract_tests, nothing
from sockhost.testing.sockets import ConnectedPair, connected_pair

Exchange = bytes | tuple[bytes, bytes | None]
"""
A request alone, when whatever is answered is good; or with its answer, which
is C{None} when there is to be none.
"""

HOOKS = tuple(ILifecycle)
_TAKING = ("received", "received_batch")


class _LifecycleContract(ContractCase):
    """What L{ILifecycle} promises."""

    def test_hooks(self) -> None:
        """Each hook that it has can be called as the host calls it."""
        for name in HOOKS:
            _check_call(self, self.fixture, ILifecycle[name])

    async def test_life(self) -> None:
        """The hooks of a life end well: the start, the middle, the end."""
        for name in ("startup", "reopen_logs", "reconfigure", "shutdown"):
            await run_hook(self.fixture, name)

    async def test_again_and_again(self) -> None:
        """Its configuration and its logs can be changed more than once."""
        await run_hook(self.fixture, "startup")
        for _ in range(3):
            await run_hook(self.fixture, "reopen_logs")
            await run_hook(self.fixture, "reconfigure")
        await run_hook(self.fixture, "shutdown")

    async def test_wait_is_cancelled(self) -> None:
        """C{wait} ends when it is cancelled, and the shutdown follows."""
        await run_hook(self.fixture, "startup")
        waiting = run_hook(self.fixture, "wait")
        waiting.cancel()
        try:
            await waiting
        except CancelledError:
            pass
        finally:
            await run_hook(self.fixture, "shutdown")
        self.assertTrue(waiting.called)


class _HandlerContract(ContractCase):
    """What L{ISocketHandler} promises, and L{IBatchHandler}."""

    requests: Sequence[Exchange]
    hand: Callable[[], object]

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        await run_hook(self.fixture, "startup")
        self.addCleanup(run_hook, self.fixture, "shutdown")

    async def connect(self) -> ConnectedPair:
        """Connect a client, and wait until it is welcome."""
        pair = connected_pair(self.fixture)
        await self.answered(pair)
        self.assertIsNotNone(pair.peer)
        self.assertTrue(pair.peer.connected, "the client was turned away")  # type: ignore[union-attr]
        return pair

    async def answered(self, *pairs: ConnectedPair) -> None:
        """Have all be answered that is to be."""
        await self.turn(type(self).hand)
        for pair in pairs:
            pair.flush()

    async def ask(self, pair: ConnectedPair, exchange: Exchange) -> None:
        """Make a request, and check its answer."""
        request, *known = exchange if isinstance(exchange, tuple) else (exchange,)
        frames: list[bytes] = []
        pair.client.on_frame = frames.append
        pair.client.send(request)
        pair.flush()
        await self.answered(pair)
        if known:
            wanted = [] if known[0] is None else known
            self.assertEqual(frames, wanted, f"the answer to {request!r}")
        self.assertLessEqual(len(frames), 1, f"answers to {request!r}")
        self.assert_well(pair)

    def assert_well(self, pair: ConnectedPair) -> None:
        """The client was not dropped, and the handler has not failed."""
        self.assertTrue(pair.peer is not None and pair.peer.connected)
        self.assertEqual(pair.server.counters.errors, 0)

    async def assert_gone(self, pair: ConnectedPair) -> None:
        """Nothing of any client is left, and no farewell failed."""
        await self.answered(pair)
        self.assertEqual(pair.server.clients, [])
        self.assertEqual(pair.server.counters.in_flight, 0)
        await pair.server.drain(0)
        self.assertEqual(pair.server.counters.errors, 0)
        self.assertEqual(pair.clock.getDelayedCalls(), [])

    def test_methods(self) -> None:
        """It takes frames; what else it has can be called too."""
        takes = [getattr(self.fixture, name, None) for name in _TAKING]
        self.assertTrue(any(map(callable, takes)), "it takes no frames")
        for name in IBatchHandler:
            _check_call(self, self.fixture, IBatchHandler[name])
        for name in HOOKS:
            _check_call(self, self.fixture, ILifecycle[name])

    def test_interface(self) -> None:
        """If it says that it is a handler, it has all methods of one."""
        if not ISocketHandler.providedBy(self.fixture):
            self.lack("that it provides the interface, which it need not")
        verifyObject(ISocketHandler, self.fixture)

    async def test_connect_and_leave(self) -> None:
        """A client may leave without having asked for anything."""
        pair = await self.connect()
        pair.close()
        await self.assert_gone(pair)

    async def test_requests(self) -> None:
        """Each request is answered as it should be."""
        pair = await self.connect()
        for exchange in self.requests:
            await self.ask(pair, exchange)
        pair.close()
        await self.assert_gone(pair)

    async def test_requests_of_two(self) -> None:
        """A client that leaves costs another nothing."""
        first = await self.connect()
        second = first.another()
        await self.answered(first, second)
        first.client.send(self.payloads()[0])
        first.flush()
        first.close()
        await self.answered(first, second)
        for request in self.payloads():
            await self.ask(second, request)
        second.close()
        await self.assert_gone(second)

    async def test_all_at_once(self) -> None:
        """Requests are taken without waiting for earlier answers."""
        pair = await self.connect()
        frames: list[bytes] = []
        pair.client.on_frame = frames.append
        for request in self.payloads():
            pair.client.send(request)
        pair.flush()
        for _ in self.requests:
            await self.answered(pair)
        self.assert_well(pair)
        self.assertEqual(pair.server.counters.in_flight, 0)
        self.assertEqual(len(frames), pair.server.counters.frames_out)
        pair.close()
        await self.assert_gone(pair)

    async def test_leave_unanswered(self) -> None:
        """A client may leave in the middle of its requests."""
        pair = await self.connect()
        for request in self.payloads():
            pair.client.send(request)
        pair.close()
        await self.assert_gone(pair)

    async def test_leave_in_a_frame(self) -> None:
        """A client may leave in the middle of sending a frame."""
        pair = await self.connect()
        pair.send_bytes(Length32Codec().encode(b"half of this")[:-6])
        pair.close()
        await self.assert_gone(pair)

    async def test_socket_is_closed(self) -> None:
        """When the socket is closed, what is unanswered is given up cleanly."""
        pair = await self.connect()
        for request in self.payloads():
            pair.client.send(request)
        pair.flush()
        draining = pair.server.drain(0)
        pair.flush()
        await self.answered(pair)
        await draining
        self.assertEqual(pair.server.counters.errors, 0)

    async def test_hooks_while_connected(self) -> None:
        """Hooks that are called while a client is connected do not disturb it."""
        pair = await self.connect()
        await self.ask(pair, self.payloads()[0])
        for name in ("reopen_logs", "reconfigure"):
            await run_hook(self.fixture, name)
        await self.ask(pair, self.payloads()[-1])
        pair.close()
        await self.assert_gone(pair)

    def payloads(self) -> list[bytes]:
        """The requests without their answers."""
        return [each if isinstance(each, bytes) else each[0] for each in self.requests]


def _check_call(case: TestCase, made: object, method: Any) -> None:
    function = getattr(made, method.__name__, None)
    if function is None or not isinstance(method, Method):
        return
    arguments = [object()] * len(method.positional)
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        case.fail(f"{method.__name__} cannot be called: {error}")


def handler_contract_tests(
    make: Callable[[TestCase], object],
    requests: Sequence[Exchange],
    turn: Callable[[], object] = nothing,
) -> type[TestCase]:
    """
    Make the tests of L{ISocketHandler} for a handler, also for one that takes
    frames together, as L{IBatchHandler} says.  Its C{startup} is called
    before each test and its C{shutdown} after it, if it has them.

    @param make: makes a handler anew for each test, given its test case; with
        a L{MemoryUnitHost<sockhost.testing.units.MemoryUnitHost>} as its host,
        for instance.
    @param requests: at least one request, each with its answer where that is
        known.  Answers are checked when all requests are made one after the
        other, in this order; each must be good in any order too.
    @param turn: brings about that what the handler waits for comes, where that
        does not happen by itself; may return a Deferred.
    """
    assert requests, "a handler is nothing without requests"
    return contract_tests(
        "HandlerContractTests",
        _HandlerContract,
        make=staticmethod(make),
        requests=tuple(requests),
        hand=staticmethod(turn),
    )


def lifecycle_contract_tests(make: Callable[[TestCase], object]) -> type[TestCase]:
    """
    Make the tests of L{ILifecycle} for the hooks of a host or of a handler.

    @param make: makes an object with hooks anew for each test.
    """
    return contract_tests(
        "LifecycleContractTests", _LifecycleContract, make=staticmethod(make)
    )
