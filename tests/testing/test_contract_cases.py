"""
The contract tests find what is wrong: each is shown an implementation with one
defect.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sockhost.interfaces import IListeningUnit, ILoggingUnit, UnitLost
from sockhost.sockets.framing import Length32Codec
from sockhost.testing.contracts import (
    HostFixture,
    RedisFixture,
    UnitFixture,
    codec_contract_tests,
    handler_contract_tests,
    lifecycle_contract_tests,
    notifier_contract_tests,
    redis_contract_tests,
    unit_contract_tests,
    unit_host_contract_tests,
)
from sockhost.testing.units import MemoryUnit, MemoryUnitHost
from tests.testing.fakes import MemoryRedis, RichUnit


def failing(tests: type[TestCase]) -> set[str]:
    """Run tests; name those that fail."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(tests).run(result)
    return {test.id().rpartition(".")[2] for test, _ in result.failures + result.errors}


def fixture(unit: MemoryUnit) -> UnitFixture:
    """The hands of a unit in memory."""
    return UnitFixture(
        unit=unit,
        config=object(),
        ready=unit.ready,
        stopped=unit.stopped,
        lose=lambda: unit.lose(UnitLost("killed")),
        spoil=lambda: None,
        fail=lambda: unit.fail(OSError("no")),
        spoil_stop=lambda: None,
        fail_stop=lambda: unit.fail_stop(OSError("still there")),
        clock=Clock(),
    )


class UnitDefectTests(SynchronousTestCase):
    """Units that break a promise."""

    def failing(self, unit: Callable[[], MemoryUnit], *interfaces: Any) -> set[str]:
        """Name the tests that such a unit fails."""
        return failing(unit_contract_tests(lambda _: fixture(unit()), *interfaces))

    def test_none(self) -> None:
        """A unit without a defect passes."""
        self.assertEqual(self.failing(MemoryUnit), set())

    def test_tells_twice(self) -> None:
        """A loss that is told twice is found."""

        class Twice(MemoryUnit):
            def lose(self, error: Exception) -> None:
                super().lose(error)
                super().lose(error)

        self.assertIn("test_lost", self.failing(Twice))

    def test_forgets_what_is_left(self) -> None:
        """A unit that calls itself down after a stop that failed is found."""

        class Forgets(MemoryUnit):
            stops = 0

            def stop(self) -> Deferred[UnitLost | None]:
                stopping = super().stop()
                self.stops += 1
                if self.stops == 2:
                    self.stopped()
                return stopping

            def fail_stop(self, error: Exception) -> None:
                if self._stopping:
                    super().fail_stop(error)

        self.assertIn("test_stop_again", self.failing(Forgets))

    def test_tells_of_its_stop(self) -> None:
        """A stop that is told as a loss is found."""

        class Tells(MemoryUnit):
            def stopped(self, how: UnitLost | None = None) -> None:
                if self._lost is not None:
                    self.lose(UnitLost("stopped"))
                super().stopped(how)

        found = self.failing(Tells)
        self.assertLessEqual({"test_start_and_stop", "test_stop_twice"}, found)

    def test_tells_of_a_failed_start(self) -> None:
        """A start that fails and is told as a loss besides is found."""

        class Tells(MemoryUnit):
            def fail(self, error: Exception) -> None:
                super().fail(error)
                self.lose(error)

        self.assertIn("test_start_fails", self.failing(Tells))

    def test_start_is_not_overtaken(self) -> None:
        """A start that succeeds although it was overtaken is found."""

        class Goes(MemoryUnit):
            def stop(self) -> Any:
                if self._starting is not None:
                    self.ready()
                return super().stop()

        self.assertIn("test_stop_while_starting", self.failing(Goes))

    def test_raises(self) -> None:
        """A status that raises, and one that JSON cannot carry, are found."""

        class Raises(MemoryUnit):
            def status(self) -> Any:
                raise ZeroDivisionError

        class Odd(MemoryUnit):
            def status(self) -> Any:
                return {"at": object()}

        for each in (Raises, Odd):
            self.assertIn("test_status", self.failing(each))

    def test_leaves_a_timer(self) -> None:
        """A timer that outlives the stop is found."""

        def make(_: TestCase) -> UnitFixture:
            made = fixture(MemoryUnit())
            clock: Any = made.clock
            made.stopped = lambda: (made.unit.stopped(), clock.callLater(1, int))
            return made

        self.assertIn("test_start_and_stop", failing(unit_contract_tests(make)))

    def test_leaves_a_trace(self) -> None:
        """Whatever an outsider still sees after the end is found."""

        def make(_: TestCase) -> UnitFixture:
            made = fixture(MemoryUnit())
            made.left = lambda: made.unit.calls.count("start")
            return made

        found = failing(unit_contract_tests(make))
        self.assertLessEqual({"test_start_fails", "test_lost"}, found)

    def test_forgotten_interface(self) -> None:
        """An interface whose contract was not asked for is found."""
        self.assertEqual(
            self.failing(RichUnit, IListeningUnit) & {"test_every_interface"},
            {"test_every_interface"},
        )

    def test_claimed_interface(self) -> None:
        """So is one that the unit does not have."""
        found = self.failing(MemoryUnit, ILoggingUnit)
        self.assertLessEqual({"test_every_interface", "test_logging_interface"}, found)


class Careless:
    """A handler; each of its defects can be had alone."""

    def __init__(self, defect: str) -> None:
        self.defect = defect
        self.waiting: list[Deferred[bytes]] = []

    def received(self, client: Any, frame: bytes) -> object:
        """Answer, or do not."""
        if self.defect == "raises":
            raise ZeroDivisionError
        if self.defect == "wrong answer":
            return b"?"
        if self.defect == "no bytes":
            return "text"
        if self.defect == "no answer":
            return None
        return frame

    def disconnected(self, client: Any, reason: object) -> None:
        """Say farewell."""
        if self.defect == "farewell":
            raise ZeroDivisionError


class HandlerDefectTests(SynchronousTestCase):
    """Handlers that break a promise."""

    def failing(self, make: Callable[[], object]) -> set[str]:
        """Name the tests that such a handler fails."""
        return failing(handler_contract_tests(lambda _: make(), [(b"a", b"a"), b"b"]))

    def test_none(self) -> None:
        """A handler without a defect passes."""
        self.assertEqual(self.failing(lambda: Careless("")), set())

    def test_defects(self) -> None:
        """Each of these is found by the test for it."""
        for defect, test in (
            ("raises", "test_requests"),
            ("wrong answer", "test_requests"),
            ("no bytes", "test_all_at_once"),
            ("no answer", "test_requests"),
            ("farewell", "test_connect_and_leave"),
        ):
            found = self.failing(lambda defect=defect: Careless(defect))  # type: ignore[misc]
            self.assertIn(test, found, defect)

    def test_signature(self) -> None:
        """A method that cannot be called as the server calls it is found."""

        class Other(Careless):
            def connected(self) -> None:
                """Lack the client."""

        self.assertIn("test_methods", self.failing(lambda: Other("")))

    def test_hook(self) -> None:
        """A hook that fails is found."""

        class Hooks:
            def reopen_logs(self) -> None:
                raise ZeroDivisionError

        found = failing(lifecycle_contract_tests(lambda _: Hooks()))
        self.assertIn("test_life", found)


@define
class Sloppy(Length32Codec):
    """A codec that goes on after an error."""

    def feed(self, data: bytes) -> Any:
        self.error = None
        return super().feed(data)


class Shifted(MemoryRedis):
    """A client that gives each echo to the next command."""

    last = b""

    def _echo(self, word: bytes) -> bytes:
        self.last, word = word, self.last
        return word


class PartDefectTests(SynchronousTestCase):
    """Parts that break a promise."""

    def test_codec(self) -> None:
        """A codec that goes on behind bad bytes is found."""
        tests = codec_contract_tests(Sloppy, garbage=b"\0\0\0\0")
        self.assertEqual(failing(tests), {"test_garbage"})

    def test_redis(self) -> None:
        """A client that shifts replies is found."""
        tests = redis_contract_tests(lambda _: RedisFixture(redis=Shifted()))
        self.assertIn("test_replies_in_order", failing(tests))

    def test_notifier(self) -> None:
        """Something without C{notify} is found."""
        notifier: Any = object()
        tests = notifier_contract_tests(lambda: notifier)
        self.assertIn("test_interface", failing(tests))

    def test_host(self) -> None:
        """A host that has an answer to everything is found."""

        class Knows(MemoryUnitHost):
            def use(self, name: str) -> Any:
                return object()

        tests = unit_host_contract_tests(
            lambda case: HostFixture(host=Knows(case.mktemp()), clients=["store"])
        )
        self.assertEqual(failing(tests), {"test_unknown_names", "test_known_names"})


Named = unit_contract_tests(lambda _: fixture(MemoryUnit()))


class NameTests(SynchronousTestCase):
    """What the classes are called."""

    def test_name(self) -> None:
        """A class has the name that its module gives it, so -j finds it."""
        made = Named("test_interface")
        self.assertEqual(made.id(), f"{__name__}.Named.test_interface")

    def test_missing_hand(self) -> None:
        """A test whose hand is missing is skipped, and says what is missing."""

        def bare(_: TestCase) -> UnitFixture:
            made = fixture(MemoryUnit())
            made.lose = None
            return made

        result = unittest.TestResult()
        unit_contract_tests(bare)("test_lost").run(result)
        ((_, why),) = result.skipped
        self.assertIn("how the unit is lost", str(why))
