# -*- test-case-name: tests.processes.test_privileges -*-
"""Tests for L{sockhost.processes.privileges}."""

from __future__ import annotations

import errno
import os
import pwd

from twisted.trial.unittest import SynchronousTestCase

from sockhost.interfaces import SpawnError
from sockhost.processes import privileges
from sockhost.processes.privileges import apply_privileges, find_credentials
from sockhost.processes.spec import ChildSpec

NOBODY = pwd.getpwnam("nobody")


class CredentialsTests(SynchronousTestCase):
    """Users and groups."""

    def test_user(self) -> None:
        """A user has a main group."""
        for user in ("nobody", str(NOBODY.pw_uid)):
            found = find_credentials(user, None)
            self.assertEqual((found.uid, found.gid), (NOBODY.pw_uid, NOBODY.pw_gid))

    def test_group(self) -> None:
        """A group alone leaves the user."""
        found = find_credentials(None, "4711")
        self.assertEqual((found.uid, found.gid), (os.geteuid(), 4711))

    def test_unknown(self) -> None:
        """What is not there is named."""
        for user, group, text in (
            ("nobody-such", None, "there is no user 'nobody-such'"),
            (None, "no-such", "there is no group 'no-such'"),
            ("a\0b", None, "there is no user 'a\\x00b'"),
            (None, "a\0b", "there is no group 'a\\x00b'"),
            ("\u00b2", None, "there is no user '\u00b2'"),
            ("4294967295", "0", "there is no user '4294967295'"),
            (None, "9" * 5000, f"there is no group '{'9' * 5000}'"),
            ("987654", None, "user 987654 is in no database: it needs a group too"),
        ):
            error = self.assertRaises(LookupError, find_credentials, user, group)
            self.assertEqual(error.args, (text,))


class ApplyTests(SynchronousTestCase):
    """What is really executed."""

    def be(self, uid: int, setpriv: str | None = "/bin/setpriv") -> None:
        """Be some user, on a machine with or without setpriv."""
        self.patch(os, "geteuid", lambda: uid)
        self.patch(privileges, "_setpriv", lambda: setpriv)

    def refused(self, spec: ChildSpec) -> SpawnError:
        """Fail to apply."""
        error: SpawnError = self.assertRaises(SpawnError, apply_privileges, spec)
        return error

    def test_nobody_else(self) -> None:
        """Without user and group nothing is changed."""
        spec = ChildSpec(argv=("prog",))
        self.assertIs(apply_privileges(spec), spec)

    def test_another(self) -> None:
        """The program is executed by way of setpriv, and finds itself at home."""
        self.be(0)
        spec = ChildSpec(argv=("/bin/sh", "-c", ":"), user="nobody")
        applied = apply_privileges(spec)
        uid, gid = str(NOBODY.pw_uid), str(NOBODY.pw_gid)
        self.assertEqual(
            applied.argv,
            (
                *("/bin/setpriv", "--reuid", uid, "--regid", gid, "--init-groups"),
                *("--", "/bin/sh", "-c", ":"),
            ),
        )
        assert applied.env is not None
        self.assertEqual(applied.env["USER"], "nobody")
        self.assertEqual(applied.env["HOME"], NOBODY.pw_dir)

    def test_own_variables(self) -> None:
        """Variables that were set for the program are left."""
        self.be(0)
        env = {"HOME": "/data", "PATH": "/bin"}
        applied = apply_privileges(ChildSpec(argv=("sh",), env=env, user="nobody"))
        assert applied.env is not None
        self.assertEqual(applied.env["HOME"], "/data")
        self.assertEqual(applied.env["LOGNAME"], "nobody")
        self.assertEqual(applied.argv[-1], "/bin/sh")

    def test_empty_environment(self) -> None:
        """They are there also where nothing comes from the host."""
        self.be(0)
        applied = apply_privileges(
            ChildSpec(argv=("sh",), env={"PATH": "/bin"}, user="nobody")
        )
        assert applied.env is not None
        self.assertEqual(applied.env["HOME"], NOBODY.pw_dir)
        self.assertEqual(applied.env["USER"], "nobody")

    def test_not_root(self) -> None:
        """Only root can change to somebody else."""
        self.be(4242)
        error = self.refused(ChildSpec(argv=("/bin/sh",), user="nobody"))
        self.assertEqual(error.errno, errno.EPERM)

    def test_no_setpriv(self) -> None:
        """Without setpriv the error says what is needed."""
        self.be(0, None)
        error = self.refused(ChildSpec(argv=("/bin/sh",), user="nobody"))
        self.assertIn("needs setpriv", str(error))

    def test_no_user(self) -> None:
        """A user that is not there is an error of the spawn."""
        error = self.refused(ChildSpec(argv=("/bin/sh",), user="no-such-user"))
        self.assertEqual(
            str(error),
            "cannot execute /bin/sh: there is no user 'no-such-user' (errno 22)",
        )

    def test_program(self) -> None:
        """The program is looked for before setpriv would fail to find it."""
        self.be(0)
        for program, number in (
            ("/no/such", errno.ENOENT),
            ("no-such-program", errno.ENOENT),
            ("/etc/passwd", errno.EACCES),
            ("/etc", errno.EACCES),
        ):
            error = self.refused(ChildSpec(argv=(program,), user="nobody"))
            self.assertEqual((error.errno, error.path), (number, program))
