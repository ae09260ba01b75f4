# -*- test-case-name: tests.control.test_place -*-
"""
Tests for L{sockhost.control.place}.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from sockhost.control.place import find_control, forget_control, tell_control


class PlaceTests(SynchronousTestCase):
    """Those who know the run directory find the control socket."""

    def setUp(self) -> None:
        self.run_dir = os.path.abspath(self.mktemp())
        os.mkdir(self.run_dir)
        self.usual = os.path.join(self.run_dir, "control.sock")

    def test_usual(self) -> None:
        """In its usual place it is found without a word, and nothing is made."""
        tell_control(self.run_dir, self.usual)
        self.assertEqual(find_control(self.run_dir), self.usual)
        self.assertEqual(os.listdir(self.run_dir), [])

    def test_no_directory(self) -> None:
        """Where no host has ever run it is looked for in its usual place."""
        self.assertEqual(find_control("nowhere"), "nowhere/control.sock")

    def test_elsewhere(self) -> None:
        """It is found elsewhere while the host is there."""
        tell_control(self.run_dir, "/else/x.sock")
        self.assertEqual(find_control(self.run_dir), "/else/x.sock")
        forget_control(self.run_dir)
        self.assertEqual(find_control(self.run_dir), self.usual)

    def test_left_behind(self) -> None:
        """What a host that was killed has told means nothing to the next one."""
        tell_control(self.run_dir, "/else/x.sock")
        tell_control(self.run_dir, "/else/y.sock")
        self.assertEqual(find_control(self.run_dir), "/else/y.sock")
        tell_control(self.run_dir, self.usual)
        self.assertEqual(find_control(self.run_dir), self.usual)

    def test_in_the_way(self) -> None:
        """What is no link is somebody else's: it stays, and the host does not start."""
        path = os.path.join(self.run_dir, "control.link")
        with open(path, "w"):
            pass
        self.assertRaises(OSError, tell_control, self.run_dir, "/else/x.sock")
        forget_control(self.run_dir)
        self.assertTrue(os.path.exists(path))
