# -*- test-case-name: tests.host.test_rehearsal -*-
"""
Tests for L{sockhost.host.rehearsal}.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sockhost.config import Config
from sockhost.host.rehearsal import (
    RehearsalHost,
    path_problems,
    rehearse,
    served_problems,
)
from sockhost.interfaces import (
    IUnit,
    IUnitHost,
    IUnitKind,
    NoSuchUnit,
    SockhostError,
)
from sockhost.sockets.settings import SocketConfig
from sockhost.status import Event
from sockhost.supervise.process import ProcessConfig, ProcessKind
from sockhost.supervise.ready import Ready
from sockhost.testing.units import MemoryUnit
from tests.host.test_fakes import config, temporary, unit_config


@frozen
class PathConfig:
    """A unit with a path."""

    path: str | None = None


@implementer(IUnitKind)
@frozen
class Kind:
    """Makes units, or fails."""

    name: str = "socket"
    config_class: Any = PathConfig
    portable: bool = False
    error: BaseException | None = None

    def make(self, name: str, config: Any, host: IUnitHost) -> IUnit:
        """Make a unit."""
        verifyObject(IUnitHost, host)
        if self.error is not None:
            raise self.error
        return MemoryUnit()


class Echo:
    """A handler."""

    def __init__(self, host: IUnitHost) -> None:
        """Nothing is needed of the host."""

    def received(self, client: object, frame: bytes) -> bytes:
        """Send it back."""
        return frame


class RehearseTests(SynchronousTestCase):
    """What shows when units are made, or meet."""

    def problems(self, found: Config, **kinds: IUnitKind) -> list[str]:
        """Rehearse a configuration."""
        every: Mapping[str, IUnitKind] = {"socket": Kind(), "memory": Kind(), **kinds}
        return [str(problem) for problem in rehearse(found, every, Clock())]

    def test_good(self) -> None:
        """A good configuration has no problems."""
        self.assertEqual(self.problems(config(unit_config("a"))), [])

    def test_refused(self) -> None:
        """A unit that its kind refuses to make is told with the reason."""
        found = config(unit_config("a", source="/a.toml"), unit_config("b"))
        for error, said in (
            (SockhostError("no such tap"), "no such tap"),
            (ValueError("odd"), "ValueError('odd')"),
            (SystemExit(3), "SystemExit(3)"),
        ):
            problems = self.problems(found, memory=Kind(error=error))
            self.assertEqual(problems[0], f"/a.toml: unit.a: cannot be made: {said}")
            self.assertEqual(len(problems), 2)

    def test_lifecycle(self) -> None:
        """Hooks that cannot be loaded are told."""
        found = config(host={"lifecycle": "sockhost_no_such_module:Hooks"})
        [problem] = self.problems(found)
        self.assertIn("host.lifecycle = ", problem)
        self.assertIn("No module named 'sockhost_no_such_module'", problem)
        self.flushLoggedErrors(ModuleNotFoundError)

    def test_socket(self) -> None:
        """What a socket would find out at its start is told, by its key."""
        own = SocketConfig(
            path="run/a.sock",
            handler="sockhost_no_such_module:Handler",
            allow=("no-such-user",),
            deny=("%no-such-group",),
            owner="no-such-user",
            group="no-such-group",
        )
        found = config(unit_config("a", kind="socket", own=own, source="/a.toml"))
        told = self.problems(found)
        keys = [problem.split(" = ")[0] for problem in told]
        self.assertEqual(
            keys,
            [
                f"/a.toml: unit.a.{key}"
                for key in ("handler", "allow", "deny", "owner", "group")
            ],
        )
        self.assertIn("No module named 'sockhost_no_such_module'", told[0])
        self.assertIn("no user called 'no-such-user'", told[1])
        self.flushLoggedErrors(ModuleNotFoundError)

    def test_good_socket(self) -> None:
        """A socket whose handler and users are there has no problems."""
        own = SocketConfig(
            path="run/a.sock", handler="tests.host.test_rehearsal:Echo", allow=("root",)
        )
        found = config(unit_config("a", kind="socket", own=own))
        self.assertEqual(self.problems(found), [])

    def test_paths(self) -> None:
        """Two sockets cannot be in one place, nor one where the control is."""

        def socket(name: str, path: str) -> Any:
            own = PathConfig(path)
            return unit_config(name, kind="socket", own=own, source="/a.toml")

        found = config(
            socket("a", "/nowhere/run/a.sock"),
            socket("b", "/nowhere/run/../run/a.sock"),
            socket("c", "/nowhere/run/control.sock"),
            socket("d", "@d"),
        )
        self.assertEqual(
            self.problems(found),
            [
                (
                    '/a.toml: unit.b.path = "/nowhere/run/../run/a.sock": expected '
                    "another path: unit a is there"
                ),
                (
                    '/a.toml: unit.c.path = "/nowhere/run/control.sock": expected '
                    "another path: the control socket is there"
                ),
            ],
        )

    def test_notify(self) -> None:
        """A notify socket's path may be too long, which is told of its key once."""
        own = ProcessConfig(argv=("sleep",), ready=Ready(notify=True))
        web = unit_config("web", kind="process", own=own, source="/a.toml")
        long = "/" + "r" * 100
        found = config(web, host={"run_dir": long})
        (problem,) = self.problems(found, process=ProcessKind())
        self.assertEqual(
            problem,
            f"/a.toml: unit.web.ready.notify = true: the notify socket {long}"
            "/notify/web has 112 bytes, and a Unix socket's path at most 107: use a "
            "shorter run_dir",
        )
        self.assertEqual([str(p) for p in path_problems(found)], [problem])


class RunningTests(SynchronousTestCase):
    """What a host that serves clients finds out about a socket that is new."""

    def problems(self, handler: str, workers: int) -> list[str]:
        """Look at a socket."""
        own = SocketConfig(path="run/a.sock", handler=handler, workers=workers)
        unit = unit_config("a", kind="socket", own=own, source="/a.toml")
        found = served_problems(unit, str(self.directory), running=True)
        return [str(problem) for problem in found]

    def setUp(self) -> None:
        self.directory = temporary(self)
        (self.directory / "sockhost_here.py").write_text("raise RuntimeError\n")

    def test_own(self) -> None:
        """A handler of the host itself is loaded."""
        self.patch(sys, "path", list(sys.path))
        (said,) = self.problems("sockhost_here:Handler", 0)
        self.assertIn("unit.a.handler = ", said)
        self.assertIn("RuntimeError", said)
        self.flushLoggedErrors(RuntimeError)

    def test_workers(self) -> None:
        """The module of one for workers is looked for, and not executed."""
        for there in ("sockhost_here:Handler", "sockhost.sockets:Handler", "os:H"):
            self.assertEqual(self.problems(there, 2), [])
        (said,) = self.problems("sockhost_gone.deeper:Handler", 2)
        self.assertEqual(
            said,
            '/a.toml: unit.a.handler = "sockhost_gone.deeper:Handler": cannot load '
            "sockhost_gone.deeper:Handler: ModuleNotFoundError: No module named "
            "'sockhost_gone'",
        )


class RehearsalHostTests(SynchronousTestCase):
    """The host in which nothing is started."""

    def test_host(self) -> None:
        """It knows the configuration, and nothing that runs."""
        host = RehearsalHost(Clock(), config(unit_config("a")), {})
        verifyObject(IUnitHost, host)
        self.assertEqual(host.unit_config("a").name, "a")
        self.assertEqual(host.config_dir, "/nowhere")
        self.assertRaises(NoSuchUnit, host.unit_config, "b")
        self.assertRaises(NoSuchUnit, host.use, "a")
        self.assertRaises(SockhostError, host.child_kind, "k")
        host.publish(Event(at=0.0, event="none"))
