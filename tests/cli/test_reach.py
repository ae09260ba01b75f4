"""Tests of finding the host."""

from __future__ import annotations

import os

from sockhost.control.place import tell_control
from tests.cli.memory import CommandTestCase, invoke


class RunDirTests(CommandTestCase):
    """The host is found by its run directory."""

    def found_at(self, path: str, *arguments: str) -> None:
        """The command talks to this socket."""
        self.client.here = path
        self.assertEqual(invoke(*arguments).status, 0)

    def test_default(self) -> None:
        """Without a word it is ./run."""
        self.found_at("run/control.sock", "status")

    def test_environment(self) -> None:
        """The environment names another."""
        self.patch(os, "environ", {"SOCKHOST_RUN_DIR": "/env"})
        self.found_at("/env/control.sock", "status")

    def test_options(self) -> None:
        """An option overrides it, behind the command or in front of it."""
        self.patch(os, "environ", {"SOCKHOST_RUN_DIR": "/env"})
        self.found_at("/a/control.sock", "--run-dir", "/a", "status")
        self.found_at("/a/control.sock", "status", "--run-dir", "/a")
        self.found_at("/b/control.sock", "--run-dir", "/a", "status", "--run-dir", "/b")

    def test_elsewhere(self) -> None:
        """Its run directory leads to a control socket that is elsewhere."""
        run_dir = self.mktemp()
        os.mkdir(run_dir)
        tell_control(run_dir, "/else/x.sock")
        self.found_at("/else/x.sock", "--run-dir", run_dir, "status")

    def test_not_running(self) -> None:
        """A host that is not there is named by its socket, with status 69."""
        for arguments in (
            ["status"],
            ["start", "kv", "store"],
            ["logs", "kv"],
            ["logs", "kv", "-f"],
            ["events"],
            ["metrics"],
            ["reconfigure"],
            ["reopen-logs"],
            ["shutdown"],
            ["shutdown", "--wait"],
        ):
            text = self.refused(69, "--run-dir", "/else", *arguments)
            self.assertIn("no host answers on /else/control.sock", text)

    def test_forbidden(self) -> None:
        """A host that does not listen to this user says so, with status 1."""
        self.control.allowed = frozenset()
        self.control.__attrs_post_init__()
        self.assertIn("user 0 may not use this host", self.refused(1, "status"))
