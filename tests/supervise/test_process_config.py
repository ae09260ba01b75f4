# -*- test-case-name: tests.supervise.test_process_config -*-
"""Tests for L{sockhost.supervise.process}: the configuration of its kind."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import structure
from sockhost.interfaces import ConfigError, SockhostError
from sockhost.processes.leftovers import Leftovers
from sockhost.supervise.process import ProcessConfig, ProcessKind
from sockhost.supervise.ready import Ready
from sockhost.testing.units import MemoryUnitHost


class ConfigTests(SynchronousTestCase):
    """The keys of the table."""

    def test_whole(self) -> None:
        """A table with every key becomes a configuration."""
        table = {
            "argv": ["prog"],
            "env": {"A": "1"},
            "clear_env": True,
            "env_file": "f",
            "cwd": "/",
            "user": "u",
            "group": "g",
            "umask": "0077",
            "stop_signal": "INT",
            "grace": 3,
            "log_max_bytes": 10,
            "log_backups": 1,
            "ready": {"connect": "tcp:localhost:80", "interval": 1, "timeout": 2},
            "success": [0, 2],
            "oneshot": True,
        }
        config = structure(ProcessConfig, table)
        self.assertEqual((config.argv, config.success), (("prog",), (0, 2)))
        self.assertEqual(
            config.ready, Ready(connect="tcp:localhost:80", interval=1, timeout=2)
        )

    def test_problems(self) -> None:
        """Each wrong key is named, also inside the readiness."""
        table = {"argv": [], "grace": -1, "ready": {"delay": 1, "notify": True}, "x": 1}
        error = self.assertRaises(ConfigError, structure, ProcessConfig, table)
        keys = {problem.key for problem in error.problems}
        self.assertEqual(keys, {"argv", "grace", "ready", "x"})

    def test_usual_policy(self) -> None:
        """A unit has the time to start that its readiness may take; a table that
        is wrong is told elsewhere."""

        def limit(ready: object) -> float:
            return ProcessKind().usual_policy({"ready": ready}).start_timeout

        self.assertEqual(limit({"delay": 120}), 150.0)
        self.assertEqual(limit({"notify": True, "timeout": 300.0}), 330.0)
        for usual in (None, {}, 7, {"delay": "x"}, {"delay": 10**400}, {"delay": 5}):
            self.assertEqual(limit(usual), 60.0)
        for odd in (float("inf"), float("nan"), -1, True, [1]):
            self.assertEqual(limit({"timeout": odd}), 60.0)

    def test_long_run_dir(self) -> None:
        """A notify socket that cannot be made quarantines the unit."""
        host = MemoryUnitHost(self.mktemp())
        host.run_dir = "/" + "x" * 100
        config = ProcessConfig(argv=("prog",), ready=Ready(notify=True))
        self.assertRaises(SockhostError, ProcessKind().make, "web", config, host)

    def test_default_leftovers(self) -> None:
        """By default the notes are kept in the run directory."""
        self.assertIs(ProcessKind().leftovers, Leftovers)
