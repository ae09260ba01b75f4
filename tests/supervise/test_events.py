# -*- test-case-name: tests.supervise.test_events -*-
"""Tests for L{sockhost.supervise.events}."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.interfaces import INotifier
from sockhost.status import Event
from sockhost.supervise.events import CommandNotifier, LogNotifier, Notifiers
from sockhost.testing.processes import MemorySpawner


def event(name: str) -> Event:
    """Make an event."""
    return Event(at=1.0, event=name, unit="web", fields={"code": 3})


@implementer(INotifier)
class Listener:
    """Keeps the names of events, and does something about them."""

    def __init__(self, then: Callable[[Event], object] = lambda _: None) -> None:
        self.names: list[str] = []
        self.then = then

    def notify(self, event: Event) -> None:
        self.names.append(event.event)
        self.then(event)


class LogCase(SynchronousTestCase):
    """Sees what is logged."""

    def setUp(self) -> None:
        self.logged: list[Any] = []
        observer = cast(ILogObserver, self.logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def errors(self) -> list[Any]:
        """What was logged as an error."""
        return [one for one in self.logged if one["log_level"] is LogLevel.error]


class NotifiersTests(LogCase):
    """Telling notifiers."""

    def setUp(self) -> None:
        super().setUp()
        self.notifiers = Notifiers()

    def test_all(self) -> None:
        """Each is told of each event from its subscription to the end of that."""
        first, second = Listener(), Listener()
        end = self.notifiers.subscribe(first)
        self.notifiers.publish(event("a"))
        self.notifiers.subscribe(second)
        self.notifiers.publish(event("b"))
        end()
        end()
        self.notifiers.publish(event("c"))
        self.assertEqual((first.names, second.names), (["a", "b"], ["b", "c"]))

    def test_order(self) -> None:
        """An event that follows from another comes later for everybody."""

        def again(one: Event) -> None:
            if one.event == "a":
                self.notifiers.publish(event("b"))

        first, second = Listener(again), Listener()
        self.notifiers.subscribe(first)
        self.notifiers.subscribe(second)
        self.notifiers.publish(event("a"))
        self.assertEqual((first.names, second.names), (["a", "b"], ["a", "b"]))

    def test_one_that_raises(self) -> None:
        """A defect in one is logged, and costs no other the event."""

        def broken(_: Event) -> None:
            raise RuntimeError("broken")

        second = Listener()
        self.notifiers.subscribe(Listener(broken))
        self.notifiers.subscribe(second)
        self.notifiers.publish(event("a"))
        self.assertEqual(second.names, ["a"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_unsubscribed_meanwhile(self) -> None:
        """One that another ends is not told any more."""
        second = Listener()
        self.notifiers.subscribe(Listener(lambda _: end()))
        end = self.notifiers.subscribe(second)
        self.notifiers.publish(event("a"))
        self.assertEqual(second.names, [])


class LogNotifierTests(LogCase):
    """Events in the log."""

    def test_fields(self) -> None:
        """What an event has is in fields."""
        notifier = LogNotifier()
        self.assertTrue(verifyObject(INotifier, notifier))
        notifier.notify(event("exit"))
        (logged,) = self.logged
        self.assertEqual((logged["unit"], logged["event"]), ("web", "exit"))
        self.assertEqual(logged["fields"], {"code": 3})


class CommandNotifierTests(LogCase):
    """Commands for events."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.spawner = MemorySpawner()

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def notifier(self, **options: Any) -> CommandNotifier:
        """Make a notifier."""
        return CommandNotifier(
            reactor=self.clock, spawner=self.spawner, argv=("tell", "it"), **options
        )

    def test_input(self) -> None:
        """The command gets the event as a line of JSON, and its end."""
        notifier = self.notifier()
        self.assertTrue(verifyObject(INotifier, notifier))
        notifier.notify(event("exit"))
        child = self.spawner.child
        self.assertEqual(child.spec.argv, ("tell", "it"))
        told = {"at": 1.0, "event": "exit", "unit": "web", "fields": {"code": 3}}
        self.assertEqual(json.loads(child.written), told)
        self.assertTrue(child.written.endswith(b"\n"))
        self.assertIn(0, child.closed)
        child.exit(0)
        self.assertEqual(self.errors(), [])

    def test_failure(self) -> None:
        """A command that fails is logged with what it wrote."""
        self.notifier().notify(event("exit"))
        self.spawner.child.output(b"no such host")
        self.spawner.child.exit(1)
        (logged,) = self.errors()
        self.assertEqual(logged["output"], "no such host")

    def test_timeout(self) -> None:
        """A command that takes too long is killed."""
        self.notifier(timeout=5.0).notify(event("exit"))
        self.clock.advance(5.0)
        self.assertEqual(self.spawner.child.signals, [signal.SIGKILL])
        self.assertEqual(len(self.errors()), 1)

    def test_concurrency(self) -> None:
        """So many run at once, and the others in order afterwards."""
        notifier = self.notifier(concurrency=2)
        for name in "abc":
            notifier.notify(event(name))
        self.assertEqual(len(self.spawner.children), 2)
        self.spawner.children[0].exit(0)
        self.assertEqual(json.loads(self.spawner.child.written)["event"], "c")
        self.spawner.children[1].exit(0)
        self.spawner.children[2].exit(0)

    def test_backlog(self) -> None:
        """Events that come too fast are dropped, and counted."""
        notifier = self.notifier(concurrency=1, backlog=1)
        for name in "abcd":
            notifier.notify(event(name))
        self.assertEqual(notifier.dropped, 2)
        self.assertEqual(len(self.errors()), 1)
        notifier.close()

    def test_no_command(self) -> None:
        """A command that cannot be executed is logged, and the next one tried."""
        notifier = self.notifier(concurrency=1)
        self.spawner.fail_next()
        notifier.notify(event("a"))
        self.assertEqual(len(self.errors()), 1)
        notifier.notify(event("b"))
        self.spawner.child.exit(0)
        self.assertEqual(len(self.spawner.children), 1)

    def test_close(self) -> None:
        """Closing kills what runs and forgets what waits."""
        notifier = self.notifier(concurrency=1)
        notifier.notify(event("a"))
        notifier.notify(event("b"))
        notifier.close()
        notifier.notify(event("c"))
        self.assertEqual(self.spawner.child.signals, [signal.SIGKILL])
        self.assertEqual(len(self.spawner.children), 1)
