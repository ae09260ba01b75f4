# -*- test-case-name: tests.host.test_trust -*-
"""
Tests for L{sockhost.host.trust}.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sockhost.host.trust import Trust
from sockhost.interfaces import StartupFailed
from tests.host.test_fakes import temporary

OURS, THEIRS, GROUP = 1000, 1001, 2000


class TrustTests(SynchronousTestCase):
    """Who owns a directory, and who may write it."""

    def setUp(self) -> None:
        self.trust = Trust(OURS)
        self.stats: dict[str, Any] = {}
        self.groups: dict[int, tuple[str, list[str]]] = {}
        self.patch(os, "stat", self.look)
        self.patch(os, "lstat", self.look)
        self.patch(grp, "getgrgid", self.group)
        self.patch(pwd, "getpwuid", self.user)

    def look(self, path: str) -> Any:
        """Stand in for L{os.stat}."""
        try:
            return self.stats[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def group(self, gid: int) -> Any:
        """Stand in for L{grp.getgrgid}."""
        name, members = self.groups[gid]
        return SimpleNamespace(gr_name=name, gr_mem=members)

    def user(self, uid: int) -> Any:
        """Stand in for L{pwd.getpwuid}."""
        return {OURS: SimpleNamespace(pw_name="us")}[uid]

    def is_there(
        self,
        mode: int,
        uid: int = OURS,
        path: str = "/run",
        gid: int = GROUP,
        kind: int = stat.S_IFDIR,
    ) -> None:
        """Have something be there."""
        self.stats[path] = SimpleNamespace(st_mode=kind | mode, st_uid=uid, st_gid=gid)

    def refused(self) -> str:
        """Have it refused, and say why."""
        with self.assertRaises(StartupFailed) as raised:
            self.trust.check("/run")
        return str(raised.exception)

    def test_missing(self) -> None:
        """What is not there yet is made by the host, and so its own."""
        self.trust.check("/run")

    def test_good(self) -> None:
        """A directory of ours or root's is good if nobody else can write it."""
        for uid in (OURS, 0):
            self.is_there(0o755, uid)
            self.trust.check("/run")

    def test_owner(self) -> None:
        """Anybody else's is not, and the reason has all there is to know."""
        self.is_there(0o700, THEIRS)
        self.assertEqual(
            self.refused(),
            "/run is not safe to use: a directory of user 1001 and group 2000 with "
            "mode 0700; expected a directory of user 1000 or 0 that nobody else can "
            "write (chown or chmod go-w it, or choose another)",
        )

    def test_ours_is_root(self) -> None:
        """Root believes nobody but root."""
        self.trust = Trust(0)
        self.is_there(0o755)
        self.assertIn("expected a directory of user 0 that", self.refused())

    def test_anybody(self) -> None:
        """What anybody can write is refused."""
        self.is_there(0o757)
        self.assertIn("mode 0757", self.refused())

    def test_group(self) -> None:
        """What a group with others in it can write is refused, or one unknown."""
        self.is_there(0o775)
        self.groups = {}
        self.assertIn("mode 0775", self.refused())
        for group in (("us", ["us", "you"]), ("staff", [])):
            self.groups[GROUP] = group
            self.assertIn("mode 0775", self.refused())

    def test_private_group(self) -> None:
        """A group of one's own, and root's, is nobody else."""
        self.is_there(0o775)
        for members in ([], ["us"]):
            self.groups[GROUP] = ("us", members)
            self.trust.check("/run")
        self.is_there(0o775, uid=0, gid=0)
        self.trust.check("/run")

    def test_nameless(self) -> None:
        """A user without a name has no group of that name."""
        self.trust = Trust(4242)
        self.is_there(0o775, uid=4242)
        self.groups[GROUP] = ("us", [])
        self.refused()

    def test_sticky(self) -> None:
        """With the sticky bit others can replace nothing."""
        self.is_there(0o1777, uid=0)
        self.trust.check("/run")

    def test_parts(self) -> None:
        """What others may have put there first is looked at by itself."""
        for part in ("/run/pids", "/run/notify", "/run/log"):
            self.stats.clear()
            self.is_there(0o1777, uid=0)
            self.is_there(0o755, THEIRS, part)
            self.assertIn(f"{part} is not safe", self.refused())
            self.is_there(0o777, OURS, part, kind=stat.S_IFLNK)
            self.assertIn("a symbolic link of user 1000", self.refused())
            self.is_there(0o755, OURS, part)
            self.trust.check("/run")

    def test_notes(self) -> None:
        """The notes are looked at in any directory, the logs are not."""
        self.is_there(0o755)
        self.is_there(0o775, 0, "/run/log")
        self.trust.check("/run")
        self.is_there(0o1777, OURS, "/run/pids")
        self.assertIn("/run/pids is not safe", self.refused())
        self.is_there(0o644, OURS, "/run/pids", kind=stat.S_IFREG)
        self.assertIn("a file of user 1000", self.refused())


class MakeNotesTests(SynchronousTestCase):
    """Taking the place of the notes."""

    def setUp(self) -> None:
        self.directory = temporary(self)
        self.trust = Trust(os.geteuid())

    def test_alone(self) -> None:
        """Where nobody else can write they are made when they are needed."""
        self.trust.make_parts(str(self.directory))
        self.assertEqual(os.listdir(self.directory), [])

    def test_first(self) -> None:
        """Elsewhere they are made now, and once."""
        self.directory.chmod(0o1777)
        self.trust.make_parts(str(self.directory))
        self.trust.make_parts(str(self.directory))
        found = {part.name: part.stat().st_mode for part in self.directory.iterdir()}
        self.assertEqual(found, {"pids": 0o40700, "notify": 0o40711})

    def test_too_late(self) -> None:
        """What came in between is refused."""
        self.directory.chmod(0o1777)
        for part in ("notify", "pids"):
            shutil.rmtree(self.directory / "pids", ignore_errors=True)
            (self.directory / part).symlink_to("/tmp")
            with self.assertRaises(StartupFailed) as raised:
                self.trust.make_parts(str(self.directory))
            self.assertIn(f"{part} is not safe", str(raised.exception))
