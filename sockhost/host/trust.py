# -*- test-case-name: tests.host.test_trust -*-
"""
Whether a run directory is ours to believe: the notes in it name processes that
the next host kills, and its logs are opened by name.

Who decides about a directory is its owner, and whoever may write it.  So the
owner has to be root or the user that the host acts as, and nobody else may
write.  Writing by the group is let pass where the group is nobody else either:
root's, as C{sudo} has it, or the user's own of the same name without members,
as systems with an umask of 0002 give everybody.  In a directory with the sticky
bit others can add, but not replace; there what the host relies on is looked at
one by one.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat

from attrs import define

from sockhost.interfaces import StartupFailed

NOTES = "pids"
"""Where the notes about processes are, in the run directory."""

NOTIFY = "notify"
"""Where programs say how they are."""

_PARTS = (NOTES, NOTIFY, "log")
_MADE = {NOTES: 0o700, NOTIFY: 0o711}
"""What the host itself makes, and its mode."""


@define
class Trust:
    """
    Decides about directories.

    @ivar uid: the user that the host acts as.
    """

    uid: int

    def check(self, run_dir: str) -> None:
        """
        Look at a run directory, and touch nothing.  One that is not there is
        no danger.

        @raise StartupFailed: it is not to be believed.
        """
        try:
            there = os.stat(run_dir)
        except OSError:
            return
        self._check_one(run_dir, there, allowed=stat.S_ISVTX)
        # Others may put these there before the host does.
        for part in _PARTS if self._others_write(there) else _MADE:
            self._check_part(os.path.join(run_dir, part))

    def make_parts(self, run_dir: str) -> None:
        """
        Make the directories of the host, where others could do so first.

        @raise StartupFailed: they just did.
        @raise OSError: it cannot be made.
        """
        if self._others_write(os.stat(run_dir)):
            for part, mode in _MADE.items():
                path = os.path.join(run_dir, part)
                if not os.path.lexists(path):
                    os.mkdir(path, 0o700)
                    os.chmod(path, mode)
                self._check_part(path)

    def _check_part(self, path: str) -> None:
        try:
            there = os.lstat(path)
        except OSError:
            return
        self._check_one(path, there, allowed=0)

    def _check_one(self, path: str, there: os.stat_result, allowed: int) -> None:
        ours = there.st_uid in (0, self.uid) and stat.S_ISDIR(there.st_mode)
        if ours and (there.st_mode & allowed or not self._others_write(there)):
            return
        raise StartupFailed(
            f"{path} is not safe to use: {_kind(there.st_mode)} of user {there.st_uid}"
            f" and group {there.st_gid} with mode {stat.S_IMODE(there.st_mode):04o};"
            f" expected a directory of user {_either(self.uid)} that nobody else can"
            " write (chown or chmod go-w it, or choose another)"
        )

    def _others_write(self, there: os.stat_result) -> bool:
        if there.st_mode & stat.S_IWOTH:
            return True
        return bool(there.st_mode & stat.S_IWGRP) and not self._private(there.st_gid)

    def _private(self, gid: int) -> bool:
        if gid == 0:
            return True
        try:
            group, user = grp.getgrgid(gid), pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return False
        return group.gr_name == user and not {*group.gr_mem} - {user}


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    return "a directory" if stat.S_ISDIR(mode) else "a file"


def _either(uid: int) -> str:
    return f"{uid} or 0" if uid else "0"
