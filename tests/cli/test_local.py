"""Tests of the commands that need no running host."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NoReturn
from unittest.mock import patch

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from sockhost.config import Config, Problem, UnitConfig
from sockhost.interfaces import ConfigError
from tests.cli.memory import Outcome, invoke


class _Standing(SynchronousTestCase):
    """Puts functions in the place of those of other rooms."""

    def stand_in(self, name: str, **functions: Any) -> None:
        """Have a module that consists of these functions."""
        module = ModuleType(name)
        module.__dict__.update(functions)
        patching = patch.dict(sys.modules, {name: module})
        patching.start()
        self.addCleanup(patching.stop)


class CheckTests(_Standing):
    """sockhost check"""

    def setUp(self) -> None:
        """Have a configuration that is read as each test says."""
        self.asked: list[Any] = []
        self.result: Config | ConfigError = Config(path="/a.toml")
        self.stand_in("sockhost.host.start", Start=self._start)

    def _start(self, *, config: str, run_dir: str | None, strict: bool) -> CheckTests:
        self.asked.append((config, run_dir, strict))
        return self

    def read(self) -> Config:
        """Be a start that is read."""
        Logger("test").info("all is well")
        if isinstance(self.result, ConfigError):
            raise self.result
        return self.result

    def test_good(self) -> None:
        """A good configuration is ok; it is read strictly."""
        self.assertEqual(invoke("check", "a.toml"), Outcome(0, "ok: 0 units\n", ""))
        unit = UnitConfig(name="kv", kind="socket", own=None, table={})
        self.result = Config(path="/a.toml", units=(unit,))
        outcome = invoke("check", "a.toml", "--run-dir", "/r")
        self.assertEqual(outcome, Outcome(0, "ok: 1 unit\n", ""))
        self.assertEqual(
            self.asked,
            [("a.toml", None, True), ("a.toml", "/r", True)],
        )

    def test_bad(self) -> None:
        """Every problem is printed, a line each, with status 78."""
        problems = [Problem("a.toml", key, 1, "expected a table") for key in "xy"]
        self.result = ConfigError(problems)
        outcome = invoke("check", "a.toml")
        self.assertEqual((outcome.status, outcome.out), (78, ""))
        self.assertEqual(outcome.err.splitlines(), [str(one) for one in problems])

    def test_broken_plugin(self) -> None:
        """What is logged as an error meanwhile is printed, and nothing else is."""

        def read() -> Config:
            Logger("test").error("a plugin is broken")
            return CheckTests.read(self)

        self.read = read  # type: ignore[method-assign]
        outcome = invoke("check", "a.toml")
        self.assertEqual((outcome.status, outcome.out), (0, "ok: 0 units\n"))
        self.assertIn("a plugin is broken", outcome.err)
        self.assertEqual(outcome.err.count("\n"), 1)


class RunTests(_Standing):
    """sockhost run"""

    def test_run(self) -> None:
        """The options are those of the plugin, and so is the exit status."""
        seen: list[Any] = []

        def main(config: str, **options: Any) -> NoReturn:
            seen.append((config, options))
            raise SystemExit(73)

        self.stand_in("sockhost.host.foreground", main=main)
        plain = {
            "run_dir": None,
            "strict": False,
            "startup_fd": None,
            "watch_pid": None,
        }
        error = self.assertRaises(SystemExit, invoke, "run", "--config", "a.toml")
        self.assertEqual(error.code, 73)
        more = ["--run-dir", "/r", "--strict", "--startup-fd", "3", "--watch-pid", "7"]
        self.assertRaises(SystemExit, invoke, "run", "--config", "a.toml", *more)
        given = {"run_dir": "/r", "strict": True, "startup_fd": 3, "watch_pid": 7}
        self.assertEqual(seen, [("a.toml", plain), ("a.toml", given)])

    def test_usage(self) -> None:
        """A configuration has to be named."""
        self.assertEqual(invoke("run").status, 64)
