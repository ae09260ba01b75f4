# -*- test-case-name: tests.control.test_place -*-
"""
Where the control socket of a run directory is.  C{[host] control} may put it
elsewhere; a symbolic link in the directory then says where, for those who know
the host by its run directory.  It imports the standard library only, as the
command line does.
"""

from __future__ import annotations

import os
from contextlib import suppress

USUAL = "control.sock"
"""The socket, in its usual place in the run directory."""
LINK = "control.link"
"""What leads to it from there otherwise.  The link has a name of its own, as a
path that leads to a socket elsewhere may be too long for a socket itself."""


def find_control(run_dir: str) -> str:
    """Say where the control socket of a host is, whether it runs or not."""
    try:
        return os.path.join(run_dir, os.readlink(os.path.join(run_dir, LINK)))
    except OSError:
        return os.path.join(run_dir, USUAL)


def tell_control(run_dir: str, path: str) -> None:
    """
    Have L{find_control} find a path.  For the host that has locked the
    directory: what an earlier one has told is replaced.

    @raise OSError: it cannot be told.
    """
    forget_control(run_dir)
    if path != os.path.join(run_dir, USUAL):
        os.symlink(path, os.path.join(run_dir, LINK))


def forget_control(run_dir: str) -> None:
    """Leave nothing of what was told."""
    link = os.path.join(run_dir, LINK)
    if os.path.islink(link):
        with suppress(FileNotFoundError):
            os.unlink(link)
