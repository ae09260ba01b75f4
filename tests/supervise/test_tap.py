"""
Tests for L{sockhost.supervise.tap}.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.application.service import IServiceMaker, Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.python.usage import Options, UsageError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.interfaces import IUnit, IUnitKind, SockhostError, UnitStuck
from sockhost.supervise.tap import TapConfig, TapKind
from sockhost.testing.units import MemoryUnitHost


class PortOptions(Options):
    """One option, which has to be a number."""

    optParameters = [["port", None, "80", "A number.", int]]

    def postOptions(self) -> None:
        """Refuse one number."""
        if self["port"] == 13:
            raise UsageError("port 13 is unlucky")


class Recording(Service):
    """A service that says what is done to it, and stops when it is told."""

    def __init__(self, options: Any) -> None:
        self.options = options
        self.calls: list[str] = []
        self.stopping: Deferred[None] = Deferred()
        self.starting: Deferred[None] | None = None

    def privilegedStartService(self) -> None:
        self.calls.append("privileged")

    def startService(self) -> Any:
        self.calls.append("start")
        if self.options["port"] == 99:
            raise OSError("the port is taken")
        return self.starting

    def stopService(self) -> Deferred[None]:
        self.calls.append("stop")
        return self.stopping


@implementer(IServiceMaker)
@define
class Maker:
    """A twistd plugin."""

    tapname = "recording"
    description = "Says what is done to it."
    options = PortOptions
    made: list[Recording] = field(factory=list)

    def makeService(self, options: Any) -> Recording:
        if options["port"] == 7:
            raise ZeroDivisionError("a defect")
        self.made.append(Recording(options))
        return self.made[-1]


class TapCase(SynchronousTestCase):
    """A kind that finds one plugin."""

    def setUp(self) -> None:
        self.maker = Maker()
        self.clock = Clock()
        self.kind = TapKind(lambda: [self.maker])
        self.lost: list[Failure] = []

    def make(self, *args: str, tap: str = "recording") -> IUnit:
        """Make a unit."""
        host = MemoryUnitHost(self.mktemp(), self.clock)
        return self.kind.make("web", TapConfig(tap=tap, args=args), host)


class KindTests(TapCase):
    """Making units."""

    def test_interface(self) -> None:
        """The kind and its units are what they claim to be."""
        verifyObject(IUnitKind, self.kind)
        verifyObject(IUnit, self.make())

    def test_options(self) -> None:
        """The plugin gets its command line."""
        self.make("--port", "8080")
        self.assertEqual(self.maker.made[0].options["port"], 8080)

    def test_unknown(self) -> None:
        """An unknown plugin is named, with one that is like it."""
        error = self.assertRaises(SockhostError, self.make, tap="recordin")
        self.assertEqual(
            str(error),
            "no twistd plugin is called 'recordin'; did you mean 'recording'?",
        )

    def test_broken_plugin(self) -> None:
        """Another plugin that is broken is logged, and costs nobody anything."""

        class Broken:
            @property
            def tapname(self) -> str:
                raise ImportError("no such module")

        broken: Any = Broken()
        self.kind = TapKind(lambda: [broken, self.maker])
        self.make()
        self.assertEqual(len(self.maker.made), 1)
        self.assertEqual(len(self.flushLoggedErrors(ImportError)), 1)

    def test_no_service(self) -> None:
        """What a plugin makes has to be a service."""
        self.patch(Maker, "makeService", lambda _maker, _options: "nothing")
        error = self.assertRaises(SockhostError, self.make)
        self.assertEqual(
            str(error),
            "tap 'recording' made something that is no service: 'nothing'",
        )

    def test_ourselves(self) -> None:
        """A host in a host would have the signals and the run directory twice."""
        error = self.assertRaises(SockhostError, self.make, tap="sockhost")
        self.assertIn("is this host", str(error))

    def test_bad_options(self) -> None:
        """Options that the plugin refuses are refused with its words."""
        error = self.assertRaises(SockhostError, self.make, "--port", "13")
        self.assertEqual(str(error), "options of tap 'recording': port 13 is unlucky")
        self.assertRaises(SockhostError, self.make, "--no-such-option")

    def test_exception(self) -> None:
        """What C{makeService} raises comes through."""
        self.assertRaises(ZeroDivisionError, self.make, "--port", "7")

    def test_exit(self) -> None:
        """A plugin that wants to end the program does not."""
        error = self.assertRaises(SockhostError, self.make, "--version")
        self.assertEqual(
            str(error),
            "tap 'recording' ends the program instead of making a service",
        )


class UnitTests(TapCase):
    """The life of the service."""

    def test_start(self) -> None:
        """It is started the way twistd does it."""
        unit = self.make()
        self.assertIsNone(self.successResultOf(unit.start(self.lost.append)))
        self.assertEqual(self.maker.made[0].calls, ["privileged", "start"])
        self.assertIs(unit.status()["running"], True)

    def test_start_with_a_deferred(self) -> None:
        """A service whose start takes time is waited for."""
        unit = self.make()
        self.maker.made[0].starting = Deferred()
        starting = unit.start(self.lost.append)
        self.assertNoResult(starting)
        self.maker.made[0].starting.callback(None)
        self.successResultOf(starting)

    def test_start_fails(self) -> None:
        """What was started of it is stopped, and the reason told."""
        unit = self.make("--port", "99")
        self.maker.made[0].stopping.callback(None)
        self.failureResultOf(unit.start(self.lost.append), OSError)
        self.assertEqual(self.maker.made[0].calls, ["privileged", "start", "stop"])

    def test_stop(self) -> None:
        """It is stopped when its Deferred has fired."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        self.assertNoResult(stopping)
        self.maker.made[0].stopping.callback(None)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_when_down(self) -> None:
        """What does not run is down."""
        self.assertIsNone(self.successResultOf(self.make().stop()))

    def test_stop_too_slow(self) -> None:
        """A service that does not stop is said to be still there."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        self.clock.advance(10)
        failure = self.failureResultOf(stopping, UnitStuck)
        self.assertEqual(str(failure.value), "the service of web did not stop in 10 s")

    def test_stop_late(self) -> None:
        """One that stops after its time was over is down when it is asked again."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        self.clock.advance(10)
        self.failureResultOf(stopping, UnitStuck)
        self.assertIs(unit.status()["running"], True)
        again = unit.stop()
        self.assertNoResult(again)
        self.maker.made[0].stopping.callback(None)
        self.assertIsNone(self.successResultOf(again))
        self.assertIs(unit.status()["running"], False)
        self.assertEqual(self.maker.made[0].calls.count("stop"), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_meanwhile(self) -> None:
        """It may stop while nobody asks, and is down at once then."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        self.clock.advance(10)
        self.failureResultOf(stopping, UnitStuck)
        self.maker.made[0].stopping.callback(None)
        self.assertIs(unit.status()["running"], False)
        self.assertIsNone(self.successResultOf(unit.stop()))

    def test_stop_fails(self) -> None:
        """A service that failed to stop is told to stop again."""
        unit = self.make()
        service = self.maker.made[0]
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        service.stopping.errback(OSError("busy"))
        self.failureResultOf(stopping, OSError)
        self.assertIs(unit.status()["running"], True)
        service.stopping = Deferred()
        again = unit.stop()
        service.stopping.callback(None)
        self.assertIsNone(self.successResultOf(again))
        self.assertEqual(service.calls.count("stop"), 2)

    def test_stop_fails_meanwhile(self) -> None:
        """If that shows when nobody waits any more, it is logged."""
        unit = self.make()
        service = self.maker.made[0]
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        self.clock.advance(10)
        self.failureResultOf(stopping, UnitStuck)
        service.stopping.errback(OSError("busy"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        service.stopping = Deferred()
        again = unit.stop()
        service.stopping.callback(None)
        self.assertIsNone(self.successResultOf(again))

    def test_start_fails_and_stop_too(self) -> None:
        """What a start that failed has left is told, and not forgotten."""
        unit = self.make("--port", "99")
        starting = unit.start(self.lost.append)
        self.clock.advance(10)
        failure = self.failureResultOf(starting, UnitStuck)
        self.assertEqual(
            str(failure.value),
            "the port is taken; the service of web did not stop in 10 s",
        )
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        stopping = unit.stop()
        self.maker.made[0].stopping.callback(None)
        self.assertIsNone(self.successResultOf(stopping))

    def test_clock_set_back(self) -> None:
        """No service has taken less than no time to not stop."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        (late,) = self.clock.getDelayedCalls()
        self.clock.rightNow = -500.0
        unit.abort()
        self.clock.advance(0.5)
        failure = self.failureResultOf(stopping, UnitStuck)
        self.assertEqual(str(failure.value), "the service of web did not stop in 0 s")
        self.assertFalse(late.active())

    def test_abort(self) -> None:
        """The grace can be cut short."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        self.clock.advance(3)
        unit.abort()
        self.assertNoResult(stopping)
        unit.abort()
        self.clock.advance(0.5)
        failure = self.failureResultOf(stopping, UnitStuck)
        self.assertEqual(str(failure.value), "the service of web did not stop in 3.5 s")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abort_late(self) -> None:
        """Cutting the grace short does not make it longer."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        self.clock.advance(9.9)
        unit.abort()
        self.clock.advance(0.2)
        self.failureResultOf(stopping, UnitStuck)

    def test_abort_and_stopped(self) -> None:
        """A service that stops in what is left of the grace has stopped."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        stopping = unit.stop()
        unit.abort()
        self.maker.made[0].stopping.callback(None)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_while_starting(self) -> None:
        """A start that a stop has overtaken does not succeed any more."""
        unit = self.make()
        service = self.maker.made[0]
        service.starting = Deferred()
        starting = unit.start(self.lost.append)
        stopping = unit.stop()
        self.failureResultOf(starting, CancelledError)
        self.assertNoResult(stopping)
        service.stopping.callback(None)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(service.calls, ["privileged", "start", "stop"])

    def test_stop_twice(self) -> None:
        """A second stop ends when the service has stopped, not before."""
        unit = self.make()
        self.successResultOf(unit.start(self.lost.append))
        both = [unit.stop(), unit.stop()]
        for each in both:
            self.assertNoResult(each)
        self.maker.made[0].stopping.callback(None)
        for each in both:
            self.assertIsNone(self.successResultOf(each))
        self.assertEqual(self.maker.made[0].calls.count("stop"), 1)

    def test_start_again(self) -> None:
        """Each start is that of a new service."""
        unit = self.make()
        for _ in range(2):
            self.successResultOf(unit.start(self.lost.append))
            self.maker.made[-1].stopping.callback(None)
            self.successResultOf(unit.stop())
        self.assertEqual(
            [made.calls for made in self.maker.made],
            [["privileged", "start", "stop"]] * 2,
        )

    def test_reload(self) -> None:
        """A changed configuration needs a restart."""
        unit = self.make()
        same = TapConfig(tap="recording")
        other = TapConfig(tap="recording", args=("--port", "8"))
        self.assertTrue(self.successResultOf(unit.reload(same)))
        self.assertFalse(self.successResultOf(unit.reload(other)))
