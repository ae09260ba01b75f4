# -*- test-case-name: tests.config.test_files -*-
"""
Tests for L{sockhost.config.files}: writing.  Reading is tested through
L{sockhost.config.load}.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import load, write_unit
from sockhost.interfaces import ConfigError
from tests.config.test_kinds import KINDS

TEXT = '[unit.a]\nkind = "plain"\n'


def failing_after(calls: int) -> Callable[[int], None]:
    """Make an fsync for which the disk is full after some calls."""
    left = [None] * calls

    def fsync(_descriptor: int) -> None:
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        left.pop()

    return fsync


class WriteUnitTests(SynchronousTestCase):
    """Tests for L{write_unit}."""

    def setUp(self) -> None:
        """Name a directory that is not there yet."""
        self.home = self.mktemp()
        self.units_d = os.path.join(self.home, "units.d")

    def content(self) -> str:
        """Read the unit's file."""
        with open(f"{self.units_d}/a.toml", encoding="utf-8") as stream:
            return stream.read()

    def test_written(self) -> None:
        """The file is there with its text, and nothing else is."""
        path = write_unit(self.units_d, "a", TEXT)
        self.assertEqual(path, f"{self.units_d}/a.toml")
        self.assertEqual(self.content(), TEXT)
        self.assertEqual(os.listdir(self.units_d), ["a.toml"])

    def test_loaded(self) -> None:
        """What was written is read with the main file beside the directory."""
        write_unit(self.units_d, "a", TEXT)
        main = os.path.join(self.home, "host.toml")
        with open(main, "w", encoding="utf-8"):
            pass
        self.assertIsNotNone(load(main, KINDS).unit("a"))

    def test_replaced(self) -> None:
        """A file of that name is replaced."""
        write_unit(self.units_d, "a", TEXT)
        write_unit(self.units_d, "a", TEXT + "# é\n")
        self.assertEqual(self.content(), TEXT + "# é\n")

    def test_mode(self) -> None:
        """Only the owner can read it, as it may hold secrets."""
        path = write_unit(self.units_d, "a", TEXT)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_synced(self) -> None:
        """The file is on disk before its name is, and a new directory is, too."""
        seen: list[tuple[bool, bool]] = []

        def fsync(descriptor: int) -> None:
            is_directory = os.path.isdir(f"/proc/self/fd/{descriptor}")
            seen.append((is_directory, os.path.exists(f"{self.units_d}/a.toml")))

        write_unit(self.units_d, "a", TEXT, fsync=fsync)
        self.assertEqual(seen, [(False, False), (True, True), (True, True)])
        seen.clear()
        write_unit(self.units_d, "a", TEXT, fsync=fsync)
        self.assertEqual(seen, [(False, True), (True, True)])

    def test_disk_full(self) -> None:
        """When the disk is full, the former file stays and nothing is left over."""
        write_unit(self.units_d, "a", TEXT)
        error = self.assertRaises(
            OSError, write_unit, self.units_d, "a", "x = 1", fsync=failing_after(0)
        )
        self.assertEqual(error.errno, errno.ENOSPC)
        self.assertEqual(self.content(), TEXT)
        self.assertEqual(os.listdir(self.units_d), ["a.toml"])

    def test_directory_not_synced(self) -> None:
        """A failure of the last step is told, too."""
        error = self.assertRaises(
            OSError, write_unit, self.units_d, "a", TEXT, fsync=failing_after(1)
        )
        self.assertEqual(error.errno, errno.ENOSPC)

    def test_cannot_be_renamed(self) -> None:
        """Where the file cannot take its place, nothing is left over."""
        os.makedirs(f"{self.units_d}/a.toml")
        self.assertRaises(OSError, write_unit, self.units_d, "a", TEXT)
        self.assertEqual(os.listdir(self.units_d), ["a.toml"])

    def test_bad_name(self) -> None:
        """A name that is no unit's, or leads elsewhere, is refused."""
        error = self.assertRaises(ConfigError, write_unit, self.units_d, "../x", TEXT)
        self.assertEqual(
            str(error),
            f'{self.units_d}/../x.toml: unit = "../x": expected a name of at most 64 '
            'letters, digits, "_", "." and "-" that begins with a letter or a digit',
        )
        self.assertFalse(os.path.exists(self.units_d))

    def test_bad_text(self) -> None:
        """A text that could not be read again is refused."""
        error = self.assertRaises(ConfigError, write_unit, self.units_d, "a", "[")
        self.assertEqual(
            str(error),
            f"{self.units_d}/a.toml: not valid TOML: Invalid initial character for a "
            "key part (at end of document)",
        )
        self.assertFalse(os.path.exists(self.units_d))
