# -*- test-case-name: tests.testing.test_contracts -*-
"""
The contracts of sockhost's interfaces as tests, for any implementation.

Each function here makes a test case class from something that makes what is to
be tested, so that a plugin's tests need one line for each of its classes::

    HeartbeatContractTests = unit_contract_tests(lambda case: UnitFixture(...))

The classes are those of trial; C{trial} and C{pytest} both find them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from attrs import define
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from sockhost.config import structure
from sockhost.interfaces import (
    ConfigError,
    FrameError,
    ICodec,
    INotifier,
    IUnit,
    IUnitHost,
    IUnitKind,
    UnitLost,
)
from sockhost.status import Event


def _nothing() -> None:
    return None


@define(kw_only=True)
class UnitFixture:
    """
    A unit, and the hand that turns the world around it.

    @ivar unit: it is down.
    @ivar config: the configuration that it was made from.
    @ivar ready: brings about that a start under way succeeds, where that does
        not happen by itself.
    @ivar stopped: the same for a stop.
    @ivar lose: ends the unit from outside, as by C{kill -9}; C{None} if there
        is no such thing.
    @ivar clock: the unit's clock, if it is one in memory.
    """

    unit: IUnit
    config: Any
    ready: Callable[[], object] = _nothing
    stopped: Callable[[], object] = _nothing
    lose: Callable[[], object] | None = None
    clock: Clock | None = None


class _UnitContract(TestCase):
    """What L{IUnit} promises."""

    timeout = 30
    make: Callable[[TestCase], UnitFixture]

    def setUp(self) -> None:
        self.fixture = type(self).make(self)
        self.unit = self.fixture.unit
        self.losses: list[Failure] = []
        self.when_lost: Deferred[None] = Deferred()

    def lost(self, failure: Failure) -> None:
        """Be told of a loss."""
        self.losses.append(failure)
        if len(self.losses) == 1:
            self.when_lost.callback(None)

    async def start(self) -> None:
        """Start the unit."""
        starting = self.unit.start(self.lost)
        self.fixture.ready()
        await starting

    async def stop(self) -> None:
        """Stop the unit."""
        stopping = self.unit.stop()
        self.fixture.stopped()
        how = await stopping
        self.assertTrue(how is None or isinstance(how, UnitLost), how)
        self.assert_no_timers()

    def assert_no_timers(self) -> None:
        """Nothing is due any more."""
        if self.fixture.clock is not None:
            self.assertEqual(self.fixture.clock.getDelayedCalls(), [])

    def test_interface(self) -> None:
        """It has every method that a unit has."""
        verifyObject(IUnit, self.unit)

    async def test_start_and_stop(self) -> None:
        """It comes up, and nothing of it is left when it is down."""
        await self.start()
        await self.stop()
        self.assertEqual(self.losses, [])

    async def test_start_again(self) -> None:
        """It can be started again and again."""
        for _ in range(3):
            await self.start()
            await self.stop()

    async def test_stop_when_down(self) -> None:
        """Stopping what is down does nothing, and says that it is down."""
        await self.stop()
        await self.start()
        await self.stop()
        await self.stop()

    async def test_stop_while_starting(self) -> None:
        """A stop overtakes a start, which does not succeed any more."""
        starting = self.unit.start(self.lost)
        if starting.called:
            await self.stop()
            return
        outcome: list[object] = []
        starting.addBoth(outcome.append)
        await self.stop()
        for each in outcome:
            self.assertIsInstance(each, Failure)
            self.assertIsNotNone(each.check(CancelledError, UnitLost))  # type: ignore[attr-defined]
        self.assertEqual(self.losses, [])

    async def test_status(self) -> None:
        """Its status can be asked for at any time, and written as JSON."""
        json.dumps(dict(self.unit.status()))
        await self.start()
        json.dumps(dict(self.unit.status()))
        await self.stop()
        json.dumps(dict(self.unit.status()))

    async def test_reload(self) -> None:
        """It takes a configuration, or asks to be restarted for it."""
        await self.start()
        self.assertIsInstance(await self.unit.reload(self.fixture.config), bool)
        await self.stop()

    async def test_abort(self) -> None:
        """Cutting the grace short has no effect but on a stop under way."""
        self.unit.abort()
        await self.start()
        self.unit.abort()
        stopping = self.unit.stop()
        self.unit.abort()
        self.fixture.stopped()
        await stopping
        self.assert_no_timers()

    async def test_lost(self) -> None:
        """It says once that it was lost, and can be started again."""
        if self.fixture.lose is None:
            return
        await self.start()
        self.fixture.lose()
        await self.when_lost
        self.assertEqual(len(self.losses), 1)
        await self.start()
        await self.stop()
        self.assertEqual(len(self.losses), 1)


def unit_contract_tests(make: Callable[[TestCase], UnitFixture]) -> type[TestCase]:
    """
    Make the tests of L{IUnit} for a unit.

    @param make: makes a unit anew for each test, given its test case (for
        C{addCleanup} and C{mktemp}).
    """
    return type("UnitContractTests", (_UnitContract,), {"make": staticmethod(make)})


class _KindContract(TestCase):
    """What L{IUnitKind} promises."""

    kind: IUnitKind
    table: Mapping[str, Any]
    host: Callable[[TestCase], IUnitHost]

    def test_interface(self) -> None:
        """It is a plugin, and has all that a kind has."""
        verifyObject(IUnitKind, self.kind)
        self.assertTrue(IPlugin.providedBy(self.kind))

    def test_config_class(self) -> None:
        """Its configuration is frozen."""
        self.assertTrue(attrs.has(self.kind.config_class))
        config = structure(self.kind.config_class, self.table)
        key = attrs.fields(self.kind.config_class)[0].name
        self.assertRaises(
            attrs.exceptions.FrozenInstanceError, setattr, config, key, None
        )

    def test_unknown_key(self) -> None:
        """A key that it does not know is refused."""
        table = {**self.table, "no_such_key": 1}
        self.assertRaises(ConfigError, structure, self.kind.config_class, table)

    def test_equal(self) -> None:
        """The same table gives equal configurations: nothing has changed."""
        once = structure(self.kind.config_class, self.table)
        again = structure(self.kind.config_class, self.table)
        self.assertEqual(once, again)

    def test_make(self) -> None:
        """It makes units, each its own."""
        host = type(self).host(self)
        config = structure(self.kind.config_class, self.table)
        first = self.kind.make("one", config, host)
        second = self.kind.make("two", config, host)
        verifyObject(IUnit, first)
        self.assertIsNot(first, second)

    def test_portable(self) -> None:
        """A kind that goes into workers can be made there without arguments."""
        if self.kind.portable:
            again: Any = type(self.kind)
            verifyObject(IUnitKind, again())


def kind_contract_tests(
    kind: IUnitKind,
    table: Mapping[str, Any],
    host: Callable[[TestCase], IUnitHost],
) -> type[TestCase]:
    """
    Make the tests of L{IUnitKind} for a kind.

    @param table: a good table of the kind's own keys.
    @param host: makes the host for the units, such as a L{MemoryUnitHost
        <sockhost.testing.units.MemoryUnitHost>}.
    """
    names = {"kind": kind, "table": table, "host": staticmethod(host)}
    return type("KindContractTests", (_KindContract,), names)


class _CodecContract(TestCase):
    """What L{ICodec} promises."""

    make: Callable[[], ICodec]
    payloads: Sequence[bytes]
    garbage: bytes | None

    def setUp(self) -> None:
        self.codec = type(self).make()

    def stream(self) -> bytes:
        """All payloads, encoded."""
        return b"".join(self.codec.encode(each) for each in self.payloads)

    def test_interface(self) -> None:
        """It has all that a codec has."""
        verifyObject(ICodec, self.codec)

    def test_at_once(self) -> None:
        """What is encoded is decoded, in order."""
        self.assertEqual(list(self.codec.feed(self.stream())), list(self.payloads))
        self.assertEqual(self.codec.buffered, 0)
        self.assertIsNone(self.codec.error)

    def test_cut_anywhere(self) -> None:
        """Where the stream is cut makes no difference."""
        stream = self.stream()
        for cut in range(len(stream) + 1):
            codec = type(self).make()
            got = [*codec.feed(stream[:cut]), *codec.feed(stream[cut:])]
            self.assertEqual(got, list(self.payloads), f"cut at {cut}")

    def test_byte_by_byte(self) -> None:
        """A byte at a time is enough."""
        got: list[bytes] = []
        for byte in self.stream():
            got.extend(self.codec.feed(bytes([byte])))
        self.assertEqual(got, list(self.payloads))

    def test_buffered(self) -> None:
        """Half a message is counted as held."""
        stream = self.codec.encode(self.payloads[0])
        self.codec.feed(stream[:-1])
        self.assertGreater(self.codec.buffered, 0)

    def test_garbage(self) -> None:
        """Bad bytes end the stream, but not the messages in front of them."""
        if self.garbage is None:
            return
        got = self.codec.feed(self.codec.encode(self.payloads[0]) + self.garbage)
        self.assertEqual(list(got), [self.payloads[0]])
        self.assertIsInstance(self.codec.error, FrameError)
        self.assertEqual(list(self.codec.feed(self.stream())), [])


def codec_contract_tests(
    make: Callable[[], ICodec],
    payloads: Sequence[bytes] = (b"a", b"", b"two words", bytes(range(256))),
    garbage: bytes | None = None,
) -> type[TestCase]:
    """
    Make the tests of L{ICodec} for a codec.

    @param payloads: what it can carry.
    @param garbage: bytes that are no message of its, if there are any.
    """
    names = {"make": staticmethod(make), "payloads": payloads, "garbage": garbage}
    return type("CodecContractTests", (_CodecContract,), names)


class _NotifierContract(TestCase):
    """What L{INotifier} promises."""

    make: Callable[[], INotifier]

    def test_interface(self) -> None:
        """It has all that a notifier has."""
        verifyObject(INotifier, type(self).make())

    def test_events(self) -> None:
        """It takes events of the host and of units, with and without fields."""
        notifier = type(self).make()
        for event in (
            Event(at=0.0, event="ready"),
            Event(at=1.5, event="state", unit="kv", fields={"state": "up"}),
            Event(at=2.0, event="strange", unit="kv", fields={"deep": {"a": [None]}}),
        ):
            self.assertIsNone(notifier.notify(event))  # type: ignore[func-returns-value]


def notifier_contract_tests(make: Callable[[], INotifier]) -> type[TestCase]:
    """Make the tests of L{INotifier} for a notifier."""
    return type(
        "NotifierContractTests", (_NotifierContract,), {"make": staticmethod(make)}
    )
