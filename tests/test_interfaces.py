# -*- test-case-name: tests.test_interfaces -*-
"""
Tests for L{sockhost.interfaces}: what is public, and that it is documented.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from attrs import NOTHING
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Attribute, Interface

from sockhost import interfaces
from sockhost.config import Problem
from sockhost.interfaces import (
    ConfigError,
    Disconnected,
    HostLocked,
    NoSuchUnit,
    ProcessLost,
    RedisReplyError,
    SockhostError,
    SpawnError,
    UnitLost,
)

PUBLIC = [
    "CommandTimeout",
    "ConfigError",
    "Disconnected",
    "FrameError",
    "GoalChanged",
    "HostLocked",
    "IBatchHandler",
    "IChild",
    "IClient",
    "IClientsUnit",
    "ICodec",
    "ICodecKind",
    "IHookedUnit",
    "IHost",
    "ILifecycle",
    "IListeningUnit",
    "ILoggingUnit",
    "INotifier",
    "IRedis",
    "ISocketHandler",
    "ISpawner",
    "IUnit",
    "IUnitHost",
    "IUnitKind",
    "IUsableUnit",
    "LockLost",
    "LockTaken",
    "MaybeExecuted",
    "NoAnswer",
    "NoClients",
    "NoSuchClient",
    "NoSuchUnit",
    "NotReady",
    "PathInUse",
    "ProcessLost",
    "RedisConnectionError",
    "RedisDenied",
    "RedisError",
    "RedisLoading",
    "RedisMaxClients",
    "RedisProtocolError",
    "RedisQueueFull",
    "RedisReplyError",
    "Refused",
    "SockhostError",
    "SpawnError",
    "StartupFailed",
    "TransactionConflict",
    "UnitFailed",
    "UnitLost",
    "UnitStuck",
]


def exported(wanted: type) -> Iterator[tuple[str, Any]]:
    """Go through what is public and of a type."""
    for name in interfaces.__all__:
        found = getattr(interfaces, name)
        if isinstance(found, wanted):
            yield name, found


class FacadeTests(SynchronousTestCase):
    """The public names."""

    def test_names(self) -> None:
        """What is public is decided, and does not grow by itself."""
        self.assertEqual(interfaces.__all__, PUBLIC)

    def test_nothing_else(self) -> None:
        """Every public name is an interface or an exception."""
        named = {name for name, _ in exported(type(Interface))}
        named |= {name for name, _ in exported(type)}
        self.assertEqual(named, set(PUBLIC))


class InterfaceTests(SynchronousTestCase):
    """The interfaces."""

    def test_documented(self) -> None:
        """Every interface, method and attribute says what it promises."""
        silent = [
            f"{name}.{member}"
            for name, interface in exported(type(Interface))
            for member, described in interface.namesAndDescriptions(all=False)
            if not (described.getDoc() or "").strip()
        ]
        silent += [
            name for name, found in exported(type(Interface)) if not found.getDoc()
        ]
        self.assertEqual(silent, [])

    def test_no_self(self) -> None:
        """No method of an interface names C{self}."""
        for name, interface in exported(type(Interface)):
            for member, described in interface.namesAndDescriptions(all=False):
                if type(described) is not Attribute:
                    self.assertNotIn("self", described.positional, f"{name}.{member}")


class ExceptionTests(SynchronousTestCase):
    """The exceptions."""

    def test_one_base(self) -> None:
        """Every exception can be caught as L{SockhostError}, and is documented."""
        for name, error in exported(type):
            self.assertTrue(issubclass(error, SockhostError), name)
            self.assertTrue(inspect.getdoc(error), name)

    def test_config_error(self) -> None:
        """A bad configuration says each of its problems in a line."""
        first = Problem("a.toml", "host.name", 3, "a string")
        second = Problem("a.toml", "", NOTHING, "it cannot be read")
        error = ConfigError([first, second])
        self.assertEqual(error.problems, (first, second))
        self.assertEqual(
            str(error), "a.toml: host.name = 3: a string\na.toml: it cannot be read"
        )

    def test_locked(self) -> None:
        """The refusal names the owner, as far as it is known."""
        self.assertEqual(
            str(HostLocked("/run/a.pid", 17)),
            "a host already runs here: process 17 holds /run/a.pid",
        )
        self.assertIn(": another process holds", str(HostLocked("/run/a.pid", None)))

    def test_no_such_unit(self) -> None:
        """Who misspells a name sees those that there are."""
        error = NoSuchUnit("kw", ["kv", "store"])
        self.assertEqual(error.name, "kw")
        self.assertEqual(str(error), "no unit is called 'kw'; units here: kv, store")
        self.assertIn("units here: none", str(NoSuchUnit("kv")))

    def test_losses(self) -> None:
        """A loss says whether it is the way that the unit is meant to end."""
        self.assertFalse(UnitLost("gone").success)
        lost = ProcessLost("killed", None, 9)
        self.assertEqual((lost.code, lost.signal, lost.success), (None, 9, False))

    def test_spawn(self) -> None:
        """A failure to execute says what, why and by which number."""
        error = SpawnError(2, "/bin/no", "No such file or directory")
        self.assertEqual((error.errno, error.path), (2, "/bin/no"))
        self.assertEqual(
            str(error), "cannot execute /bin/no: No such file or directory (errno 2)"
        )

    def test_small_fields(self) -> None:
        """The code of a Redis error is its first word; a client ends cleanly or not."""
        self.assertEqual(RedisReplyError("WRONGTYPE no list").code, "WRONGTYPE")
        self.assertTrue(Disconnected("bye", clean=True).clean)
        self.assertFalse(Disconnected("reset").clean)
