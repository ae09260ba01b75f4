# -*- test-case-name: tests.host.test_host -*-
"""
A whole host for tests, with fakes for all that is outside of it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sockhost.config import Config, UnitConfig
from sockhost.host import Host
from sockhost.host import host as host_module
from sockhost.host import lock as lock_module
from sockhost.host import process as process_module
from sockhost.host.around import Surroundings
from sockhost.host.exit import ExitStatus
from sockhost.host.lock import RunDirLock
from sockhost.host.process import HostProcess
from sockhost.host.signals import Signals
from sockhost.interfaces import INotifier, UnitLost
from sockhost.status import Event
from tests.host.test_fakes import FakeReactor, MemoryKind, config, temporary
from tests.host.test_hooks import Lifecycle, install_lifecycle

DONE = UnitLost("it has run", success=True)
LOST = UnitLost("exit code 3")


class FakeControl:
    """
    Stands in for the control API.

    @ivar error: raised by C{start}.
    """

    def __init__(self, journal: list[str]) -> None:
        self.journal = journal
        self.error: Exception | None = None
        self.stopping: Deferred[None] = succeed(None)

    def __call__(self, *_given: object, **_named: object) -> FakeControl:
        return self

    def start(self) -> None:
        self.journal.append("control starts")
        if self.error is not None:
            raise self.error

    def stop(self) -> Deferred[None]:
        self.journal.append("control stops")
        return self.stopping


class FakeReaper:
    """Stands in for the reaper of orphans, and counts."""

    def __init__(self) -> None:
        self.installed = 0

    def __call__(self, _reactor: object) -> FakeReaper:
        return self

    def install(self) -> None:
        self.installed += 1

    def uninstall(self) -> None:
        self.installed -= 1


class Around(Surroundings):
    """
    Surroundings that write into a journal.
    """

    journal: list[str]
    on_gone: Callable[[], None] | None

    def __init__(self, journal: list[str]) -> None:
        super().__init__()
        self.journal = journal
        self.on_gone = None
        told = self.journal

        class Systemd:
            def ready(self) -> None:
                told.append("systemd ready")

            def reloading(self) -> None:
                told.append("systemd reloading")

        self.systemd = Systemd()  # type: ignore[assignment]

    def ready(self) -> None:
        self.journal.append("ready")

    def failed(self, reason: str) -> None:
        self.journal.append(f"failed: {reason}")

    def stopping(self, reason: str) -> None:
        self.journal.append(f"stopping: {reason}")
        self.on_gone = None

    def close(self) -> None:
        self.journal.append("closed")

    def watch(self, reactor: Any, gone: Callable[[], None]) -> None:
        self.on_gone = gone


@implementer(INotifier)
class HostCase(SynchronousTestCase):
    """A host with hooks and units that the test turns by hand."""

    host_table: dict[str, Any] = {}

    def setUp(self) -> None:
        self.directory = temporary(self)
        self.run_dir = self.directory / "run"
        self.journal: list[str] = []
        self.lifecycle = install_lifecycle(self)
        Lifecycle.calls = self.journal
        Lifecycle.answers["wait"] = Deferred[None]()
        self.reactor = FakeReactor()
        self.kind = MemoryKind(journal=self.journal)
        self.control = FakeControl(self.journal)
        self.reaper = FakeReaper()
        self.patch(host_module, "ControlServer", self.control)
        self.patch(process_module, "OrphanReaper", self.reaper)
        process = partial(HostProcess, subreaper=lambda _: None)
        self.patch(host_module, "HostProcess", process)
        self.table: dict[int, Any] = {}
        self.around = Around(self.journal)
        self.next: list[Config | Exception] = []
        self.events: list[Event] = []
        self.left: list[object] = []
        self.patch_lock()

    def patch_lock(self) -> None:
        """Have the lock on the run directory write into the journal."""
        journal = self.journal

        class Lock(RunDirLock):
            def acquire(self) -> None:
                super().acquire()
                journal.append("locked")

            def release(self) -> None:
                super().release()
                journal.append("released")

        self.patch(lock_module, "RunDirLock", Lock)

    def config(self, *units: UnitConfig, **more: Any) -> Config:
        """Make a configuration in the directory of this test."""
        table = {
            "run_dir": str(self.run_dir),
            "log_dir": str(self.run_dir / "log"),
            "lifecycle": self.lifecycle,
            **self.host_table,
            **more.pop("host", {}),
        }
        path = str(self.directory / "sockhost.toml")
        return config(*units, host=table, path=path, **more)

    def read_again(self) -> Config:
        """Read the configuration that is next."""
        self.journal.append("read again")
        found = self.next.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def install(self, signum: int, handler: Any) -> Any:
        """Stand in for L{signal.signal}."""
        before = self.table.get(signum, "before")
        self.table[signum] = handler
        return before

    def make(self, *units: UnitConfig, **more: Any) -> None:
        """Make a host."""
        reactor: Any = self.reactor
        self.first = self.config(*units, **more)
        self.host = Host(
            reactor,
            self.first,
            self.read_again,
            {"memory": self.kind},
            self.around,
            Signals(reactor, self.install),
        )
        self.host.subscribe(self)

    def notify(self, event: Event) -> None:
        """Be told of an event."""
        self.events.append(event)

    def run_host(self, *units: UnitConfig, **more: Any) -> Deferred[ExitStatus]:
        """Make a host and have it live."""
        self.make(*units, **more)
        self.begin()
        self.turn()
        return self.ended

    def begin(self) -> None:
        """Have the host live, and look what is left when it says that it ended."""

        def look(status: ExitStatus) -> ExitStatus:
            self.left = list(self.reactor.getDelayedCalls())
            return status

        self.ended = self.host.run().addCallback(look)

    def turn(self) -> None:
        """Let the reactor turn until nothing is to be done at once."""
        for _ in range(20):
            self.reactor.advance(0)

    def signal(self, name: str) -> None:
        """Send a signal to the host."""
        signum = signal.Signals[name]
        self.table[signum](signum, None)
        self.turn()

    def unit(self, name: str) -> Any:
        """The newest unit of a name."""
        return self.kind.made[name][-1]

    def ready(self, *names: str) -> None:
        """Have units ready."""
        for name in names:
            self.unit(name).ready()
            self.turn()

    def stopped(self, *names: str) -> None:
        """Have units down."""
        for name in names:
            self.unit(name).stopped()
            self.turn()

    def assert_ended(self, status: ExitStatus) -> None:
        """The host has ended, and nothing of it is left."""
        self.assertEqual(self.successResultOf(self.ended), status)
        self.assertEqual(self.left, [])
        self.assertEqual(self.reactor.readers, [])
        self.assertEqual(self.reaper.installed, 0)
        self.assertFalse((self.run_dir / "sockhost.pid").exists())
        self.assertEqual(set(self.table.values()), {"before"})
        self.assertEqual(self.journal[-2:], ["released", "closed"])
