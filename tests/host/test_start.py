# -*- test-case-name: tests.host.test_start -*-
"""
Tests for L{sockhost.host.start}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sockhost.host import start as module
from sockhost.host.notify import DaemonPipe
from sockhost.host.start import SettleMemory, Start
from sockhost.interfaces import ConfigError, INotifier
from sockhost.status import Event
from tests.host.test_fakes import FakeReactor, temporary


class StartTests(SynchronousTestCase):
    """Reading a configuration, and making its host."""

    def setUp(self) -> None:
        self.directory = temporary(self)
        self.config = self.directory / "sockhost.toml"

    def test_make_host(self) -> None:
        """What the host starts cannot speak to systemd in its place."""
        self.config.write_text(f"[host]\nrun_dir = '{self.directory}/run'\n")
        self.patch(os, "environ", {**os.environ, "NOTIFY_SOCKET": "/run/notify"})
        start = Start(config=str(self.config), run_dir=str(self.directory / "other"))
        reactor: Any = FakeReactor()
        host = start.make_host(reactor, start.read(), DaemonPipe())
        self.assertEqual(host.run_dir, str(self.directory / "other"))
        self.assertNotIn("NOTIFY_SOCKET", os.environ)

    def test_elsewhere(self) -> None:
        """A host that went to another directory reads the same file, and has
        its relative paths where they were."""
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.directory)
        self.config.write_text('[host]\nrun_dir = "r"\nlog_dir = "l"\n')
        for run_dir in (None, "other"):
            start = Start(config=self.config.name, run_dir=run_dir)
            first = start.read()
            os.chdir("/")
            self.assertEqual(start.read_again(), first)
            os.chdir(self.directory)

    def test_other_root(self) -> None:
        """Where the root will be another, the file is looked for in there."""
        self.config.write_text("")
        root = str(self.directory.parent)
        start = Start(config=str(self.config), root=root)
        inside = f"/{self.directory.name}/{self.config.name}"
        with self.assertRaises(ConfigError) as raised:
            start.read_again()
        self.assertIn(inside + ": cannot be read", str(raised.exception))
        self.assertNotIn(root, str(raised.exception))
        start = Start(config=str(self.config), root="/nowhere")
        self.assertEqual(start.read_again(), start.read())

    def test_read_again(self) -> None:
        """A host that runs takes no file with a bad unit in it."""
        self.config.write_text("[unit.a]\nkind = 'no such kind'\n")
        start = Start(config=str(self.config))
        self.assertEqual(len(start.read().quarantined), 1)
        with self.assertRaises(ConfigError):
            start.read_again()

    def test_rehearsed(self) -> None:
        """Units are made in advance for those only who ask to know all before."""
        made: list[Any] = []

        def rehearse(config: Any, *_more: Any) -> tuple[Any, ...]:
            made.append(config)
            return ()

        self.patch(module, "rehearse", rehearse)
        self.config.write_text("[unit.a]\nkind = 'tap'\ntap = 'web'\n")
        start = Start(config=str(self.config))
        start.read()
        start.read_again()
        self.assertEqual(made, [])
        Start(config=str(self.config), strict=True).read()
        self.config.write_text("[host]\nstrict = true\n")
        start.read()
        self.assertEqual(len(made), 2)

    def test_clash(self) -> None:
        """Two sockets in one place are seen without making units."""
        table = "kind = 'socket'\npath = 'a.sock'\nhandler = 'a:B'\n"
        self.config.write_text(f"[unit.a]\n{table}[unit.b]\n{table}")
        with self.assertRaises(ConfigError) as raised:
            Start(config=str(self.config)).read_again()
        self.assertIn("unit a is there", str(raised.exception))


class SettleMemoryTests(SynchronousTestCase):
    """What becomes of the objects of a host that is ready."""

    def test_ready(self) -> None:
        """They are collected once and then left alone, and not before."""
        calls: list[str] = []
        settle = SettleMemory(
            lambda: calls.append("collect"), lambda: calls.append("freeze")
        )
        verifyObject(INotifier, settle)
        settle.notify(Event(at=1.0, event="state", unit="kv"))
        self.assertEqual(calls, [])
        settle.notify(Event(at=2.0, event="ready"))
        self.assertEqual(calls, ["collect", "freeze"])
