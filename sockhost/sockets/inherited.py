# -*- test-case-name: tests.functional.test_inherited -*-
"""
Listening sockets that a service manager has made and handed to this process:
C{LISTEN_FDS}, C{LISTEN_FDNAMES} and C{LISTEN_PID} of systemd's protocol.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from attrs import frozen

from sockhost.interfaces import SockhostError

FIRST = 3
"""The descriptor of the first socket that is handed over."""

UNNAMED = "unknown"
"""What a socket is called that the service manager has no name for."""

_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")


@frozen
class InheritedSockets:
    """
    The sockets that were handed over.  They stay open as long as the process
    lives, so that a unit that is restarted gets its socket again.

    @ivar descriptors: by name.
    """

    descriptors: Mapping[str, tuple[int, ...]]

    @classmethod
    def claim(
        cls, environ: MutableMapping[str, str], pid: int, first: int = FIRST
    ) -> InheritedSockets:
        """
        Find them by the variables in the environment, and remove these: they
        are for this process and none of its children, which do not inherit
        the descriptors either.

        @param environ: the environment.
        @param pid: this process; sockets for another one are left alone.
        """
        said = [environ.pop(name, "") for name in _VARIABLES]
        if said[0] != str(pid) or not said[1].isdigit():
            return cls({})
        names = said[2].split(":") if said[2] else []
        found: dict[str, tuple[int, ...]] = {}
        for index in range(int(said[1])):
            name = (names[index] if index < len(names) else "") or UNNAMED
            os.set_inheritable(first + index, False)
            found[name] = (*found.get(name, ()), first + index)
        return cls(found)

    def copy(self, name: str) -> int:
        """
        Get a descriptor of a socket, for the caller to close.

        @raise SockhostError: there is no socket of that name, or more than one.
        """
        found = self.descriptors.get(name, ())
        if len(found) == 1:
            return os.dup(found[0])
        if found:
            raise SockhostError(
                f"the service manager handed over {len(found)} sockets called {name!r};"
                " each needs a FileDescriptorName= of its own"
            )
        listed = ", ".join(sorted(self.descriptors)) or "none"
        raise SockhostError(
            f"the service manager handed over no socket called {name!r};"
            f" sockets here: {listed}"
        )


_claimed: list[InheritedSockets] = []


def inherited_sockets() -> InheritedSockets:
    """
    Get the sockets that were handed to this process.  They can be claimed only
    once, and are when this is called for the first time.
    """
    if not _claimed:
        # Twisted takes the variables away as soon as its endpoints are
        # imported; the kernel still has them as they were.
        given = {**_first_environment(), **os.environ}
        for name in _VARIABLES:
            os.environ.pop(name, None)
        _claimed.append(InheritedSockets.claim(given, os.getpid()))
    return _claimed[0]


def _first_environment(path: str = "/proc/self/environ") -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            entries = os.fsdecode(file.read()).split("\0")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
