# -*- test-case-name: tests.processes.test_spec -*-
"""Tests for L{sockhost.processes.spec}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sockhost.processes.spec import ChildSpec


class ChildSpecTests(SynchronousTestCase):
    """What is to be executed."""

    def test_any_sequence(self) -> None:
        """A list is as good as a tuple, and kept as one that cannot change."""
        self.assertEqual(ChildSpec(argv=["a", "b"]).argv, ("a", "b"))

    def test_no_program(self) -> None:
        """There must be a program."""
        self.assertRaises(ValueError, ChildSpec, argv=())
        self.assertRaises(ValueError, ChildSpec, argv=("", "x"))
