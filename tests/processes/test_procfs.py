# -*- test-case-name: tests.processes.test_procfs -*-
"""Tests for L{sockhost.processes.procfs}."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sockhost.processes.procfs import (
    ProcessStat,
    boot_id,
    environment_value,
    group_members,
    parse_stat,
    read_stat,
)

TAIL = "S 1 20 30 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1000 1"


class ParseTests(SynchronousTestCase):
    """The text of C{/proc/PID/stat}."""

    @given(st.text(max_size=15))
    def test_any_command(self, command: str) -> None:
        """Whatever the command is called, the fields behind it are found."""
        self.assertEqual(
            parse_stat(f"42 ({command}) {TAIL}"), ProcessStat(42, "S", 1, 20, 30, 777)
        )

    def test_nonsense(self) -> None:
        """Other text is refused."""
        for text in ("", "42 (sh) S 1", "x (sh) " + TAIL):
            self.assertRaises(ValueError, parse_stat, text)

    def test_lives(self) -> None:
        """A zombie does not live."""
        self.assertTrue(ProcessStat(1, "S", 0, 1, 1, 1).lives)
        self.assertFalse(ProcessStat(1, "Z", 0, 1, 1, 1).lives)


class OwnProcessTests(SynchronousTestCase):
    """What is said of the process of the tests."""

    def test_stat(self) -> None:
        """Number, parent, group and session are those that the kernel says."""
        found = read_stat(os.getpid())
        assert found is not None
        self.assertEqual(
            (found.pid, found.parent, found.group, found.session),
            (os.getpid(), os.getppid(), os.getpgrp(), os.getsid(0)),
        )

    def test_none(self) -> None:
        """There is nothing to say of a process that is not there."""
        self.assertIsNone(read_stat(2**22 + 1))
        self.assertIsNone(environment_value(2**22 + 1, "PATH"))

    def test_group(self) -> None:
        """A process is a member of its group."""
        members = [stat.pid for stat in group_members(os.getpgrp())]
        self.assertIn(os.getpid(), members)

    def test_boot(self) -> None:
        """A boot has one name."""
        self.assertEqual(boot_id(), boot_id())
        self.assertTrue(boot_id())
